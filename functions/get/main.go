// Command get answers what is known of credentials but their secrets: the list,
// one, its tags, versions, probe history and audit log; the types and their
// schemas; GET /health; the OpenAPI document and the page at GET /docs. It has no
// right to the vault or to a key service.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"credence/shared/api/auditlog"
	"credence/shared/api/catalogue"
	"credence/shared/api/credentials"
	"credence/shared/api/health"
	"credence/shared/api/openapi"
	"credence/shared/audit"
	"credence/shared/boot"
	"credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/lambdahttp"
	"credence/shared/store/dynamo"
)

// version is set by the release build.
var version = "0.1.0-dev"

func main() {
	logger := boot.Logger(os.Stderr, slog.LevelInfo)
	if err := run(context.Background(), logger); err != nil {
		logger.Error("the function cannot start", "cause", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, logger *slog.Logger) error {
	var env boot.Environment
	tables := dynamo.Tables{Meta: env.Required("META_TABLE"), Audit: env.Required("AUDIT_TABLE")}
	cfg, cfgErr := boot.AWS(ctx, logger)
	types, typesErr := builtin.Registry()
	if err := errors.Join(env.Err(), cfgErr, typesErr); err != nil {
		return err
	}
	store := dynamo.New(dynamo.Client(cfg), tables)
	handler, err := httpapi.Stack(
		httpapi.Config{
			SignIn: identity.New(store, audit.Journal{}, time.Now), Denials: audit.Refusals{Store: store, Now: time.Now}, Logger: logger,
			Elsewhere: openapi.API{}.Patterns,
		},
		health.API{Store: store, Version: version}.Routes(),
		openapi.API{}.Routes(),
		catalogue.API{Types: types}.Routes(),
		auditlog.API{Store: store, Clock: time.Now}.Routes(),
		credentials.Reading{Service: credential.Service{Store: store, Types: types, Now: time.Now}, Clock: time.Now}.Routes(),
	)
	if err != nil {
		return err
	}
	lambdahttp.Start(handler, lambdahttp.Options{Logger: logger})
	return nil
}
