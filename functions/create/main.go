// Command create makes credentials: POST /data_credentials. It can seal a
// secret and can open none.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"credence/shared/api/credentials"
	"credence/shared/audit"
	"credence/shared/boot"
	"credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/envelope/awskms"
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
	tables := dynamo.Tables{Meta: env.Required("META_TABLE"), Vault: env.Required("VAULT_TABLE"), Audit: env.Required("AUDIT_TABLE")}
	key := env.Required("KMS_KEY")
	cfg, err := boot.AWS(ctx, logger)
	if err := errors.Join(env.Err(), err); err != nil {
		return err
	}
	keys, keysErr := awskms.New(cfg, key)
	types, typesErr := builtin.Registry()
	if err := errors.Join(keysErr, typesErr); err != nil {
		return err
	}
	store := dynamo.New(dynamo.Client(cfg), tables)
	service := credential.Service{Store: store, Types: types, Now: time.Now}
	handler, err := httpapi.Stack(
		httpapi.Config{SignIn: identity.New(store, audit.Journal{}, time.Now), Denials: audit.Refusals{Store: store, Now: time.Now}, Logger: logger},
		credentials.Creating{Editor: credential.Editor{Service: service, Keys: keys}}.Routes(),
	)
	if err != nil {
		return err
	}
	lambdahttp.Start(handler, lambdahttp.Options{Logger: logger})
	return nil
}
