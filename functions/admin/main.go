// Command admin is invoked by name, by those whom IAM lets, and never over
// HTTP: it makes organisations, users and keys, and moves data keys under
// another KMS key without opening them.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"credence/shared/api/admin"
	"credence/shared/credential"
	"credence/shared/envelope/awskms"
	"credence/shared/function"
	"credence/shared/resource"
	"credence/shared/store/dynamo"
)

func main() { function.Start(handler) }

func handler(p *function.Process) (lambda.Handler, error) {
	p.Tables(dynamo.Tables{Meta: p.Required("META_TABLE"), Vault: p.Required("VAULT_TABLE"), Audit: p.Required("AUDIT_TABLE")})
	keys, err := awskms.New(p.AWS, p.Required("KMS_KEY"), p.List("KMS_PREVIOUS_KEYS")...)
	if err != nil {
		return nil, err
	}
	return admin.Function{
		API:       admin.API{Identity: p.Identity, Store: p.Store},
		Rewrapper: credential.Rewrapper{Store: p.Store, Keys: keys, Current: keys.Current()},
		Inspector: credential.Inspector{Store: p.Store, Users: resource.Inspect},
		Logger:    p.Logger,
	}, nil
}
