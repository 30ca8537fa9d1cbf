// Command token signs callers in and out, says who they are, and keeps their
// service keys and users: /token, /token/refresh, /token/logout, /service_keys,
// /users and /orgs. It opens no secret and has no right to a key service.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"credence/shared/api/signin"
	"credence/shared/audit"
	"credence/shared/boot"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/lambdahttp"
	"credence/shared/store/dynamo"
)

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
	cfg, err := boot.AWS(ctx, logger)
	if err := errors.Join(env.Err(), err); err != nil {
		return err
	}
	store := dynamo.New(dynamo.Client(cfg), tables)
	users := identity.New(store, audit.Journal{}, time.Now)
	handler, err := httpapi.Stack(
		httpapi.Config{SignIn: users, Denials: audit.Refusals{Store: store, Now: time.Now}, Logger: logger},
		signin.API{Identity: users}.Routes(),
		signin.People{Identity: users}.Routes(),
	)
	if err != nil {
		return err
	}
	lambdahttp.Start(handler, lambdahttp.Options{Logger: logger})
	return nil
}
