// Command create makes credentials: POST /data_credentials. It can seal a
// secret and can open none.
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
	keys, keysErr := awskms.New(p.AWS, p.Required("KMS_KEY"))
	types, typesErr := builtin.Registry()
	if err := errors.Join(keysErr, typesErr); err != nil {
		return nil, err
	}
	editor := credential.Editor{Service: credential.Service{Store: p.Store, Types: types, Now: time.Now}, Keys: keys}
	return p.HTTP(nil, credentials.Creating{Editor: editor}.Routes())
}
