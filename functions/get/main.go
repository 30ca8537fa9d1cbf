// Command get answers what is known of credentials but their secrets: the list,
// one, its tags, versions, probe history and audit log; the types and their
// schemas; GET /health; the OpenAPI document and the page at GET /docs. It has no
// right to the vault or to a key service.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"credence/shared/api/auditlog"
	"credence/shared/api/catalogue"
	"credence/shared/api/credentials"
	"credence/shared/api/health"
	"credence/shared/api/openapi"
	"credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/function"
	"credence/shared/store/dynamo"
)

// version is set by the release build.
var version = "0.1.0-dev"

func main() { function.Start(handler) }

func handler(p *function.Process) (lambda.Handler, error) {
	p.Tables(dynamo.Tables{Meta: p.Required("META_TABLE"), Audit: p.Required("AUDIT_TABLE")})
	types, err := builtin.Registry()
	if err != nil {
		return nil, err
	}
	service := credential.Service{Store: p.Store, Types: types, Now: time.Now}
	return p.HTTP(openapi.API{}.Patterns,
		health.API{Store: p.Store, Version: version}.Routes(),
		openapi.API{}.Routes(),
		catalogue.API{Types: types}.Routes(),
		auditlog.API{Store: p.Store, Clock: time.Now}.Routes(),
		credentials.Reading{Service: service, Clock: time.Now}.Routes(),
	)
}
