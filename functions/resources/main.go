// Command resources serves data sources and data sinks: /data_sources and
// /data_sinks. It can seal the secret of an inline credential and can open none.
package main

import (
	"errors"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"credence/shared/api/resources"
	"credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/envelope/awskms"
	"credence/shared/function"
	"credence/shared/resource"
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
	return p.HTTP(nil, resources.API{Service: resource.Service{Credentials: editor}, Clock: time.Now}.Routes())
}
