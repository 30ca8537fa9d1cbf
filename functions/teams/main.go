// Command teams keeps the users, teams and members of organisations: /users, but for
// /users/current, /teams and /orgs. It opens no secret and has no right to a key
// service.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"credence/shared/api/people"
	"credence/shared/credential"
	"credence/shared/function"
	"credence/shared/resource"
	"credence/shared/store/dynamo"
)

func main() { function.Start(handler) }

func handler(p *function.Process) (lambda.Handler, error) {
	p.Tables(dynamo.Tables{Meta: p.Required("META_TABLE"), Audit: p.Required("AUDIT_TABLE")})
	service := credential.Service{Store: p.Store, Now: time.Now}
	owned := resource.Service{Credentials: credential.Editor{Service: service}}
	return p.HTTP(nil, people.API{Identity: p.Identity, Grants: service, Owned: owned}.Routes())
}
