// Command reveal opens secrets for those who may have them: GET
// /data_credentials/{id}/credentials, and POST /data_credentials/{id}/copy,
// which opens one and seals it again.
package main

import (
	"errors"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"credence/shared/api/credentials"
	"credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/envelope/awskms"
	"credence/shared/function"
	"credence/shared/store/dynamo"
)

func main() { function.Start(handler) }

func handler(p *function.Process) (lambda.Handler, error) {
	p.Tables(dynamo.Tables{Meta: p.Required("META_TABLE"), Vault: p.Required("VAULT_TABLE"), Audit: p.Required("AUDIT_TABLE")})
	keys, keysErr := awskms.New(p.AWS, p.Required("KMS_KEY"), p.List("KMS_PREVIOUS_KEYS")...)
	types, typesErr := builtin.Registry()
	if err := errors.Join(keysErr, typesErr); err != nil {
		return nil, err
	}
	editor := credential.Editor{Service: credential.Service{Store: p.Store, Types: types, Now: time.Now}, Keys: keys}
	return p.HTTP(nil, credentials.Revealing{
		Revealer: credential.Revealer{Service: editor.Service, Keys: keys},
		Copier:   credential.Copier{Editor: editor, Keys: keys},
	}.Routes())
}
