// Command token signs callers in and out, returns their account, and keeps their
// service keys: /token, /token/refresh, /token/logout, /users/current and
// /service_keys. It opens no secret and has no right to a key service.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"credence/shared/api/signin"
	"credence/shared/function"
	"credence/shared/store/dynamo"
)

func main() { function.Start(handler) }

func handler(p *function.Process) (lambda.Handler, error) {
	p.Tables(dynamo.Tables{Meta: p.Required("META_TABLE"), Audit: p.Required("AUDIT_TABLE")})
	return p.HTTP(nil, signin.API{Identity: p.Identity}.Routes())
}
