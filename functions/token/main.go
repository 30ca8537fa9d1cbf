// Command token signs callers in and out, says who they are, and keeps their
// service keys and users: /token, /token/refresh, /token/logout, /service_keys,
// /users and /orgs. It opens no secret and has no right to a key service.
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
	return p.HTTP(nil, signin.API{Identity: p.Identity}.Routes(), signin.People{Identity: p.Identity}.Routes())
}
