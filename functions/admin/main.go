// Command admin is invoked by name, by those whom IAM lets, and never over
// HTTP: it makes organisations, users and keys, and moves data keys under
// another KMS key without opening them.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"credence/shared/api/admin"
	"credence/shared/audit"
	"credence/shared/boot"
	"credence/shared/credential"
	"credence/shared/envelope/awskms"
	"credence/shared/identity"
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
	key, previous := env.Required("KMS_KEY"), env.List("KMS_PREVIOUS_KEYS")
	cfg, err := boot.AWS(ctx, logger)
	if err := errors.Join(env.Err(), err); err != nil {
		return err
	}
	keys, err := awskms.New(cfg, key, previous...)
	if err != nil {
		return err
	}
	store := dynamo.New(dynamo.Client(cfg), tables)
	lambda.Start(admin.Function{
		API:       admin.API{Identity: identity.New(store, audit.Journal{}, time.Now), Store: store},
		Rewrapper: credential.Rewrapper{Store: store, Keys: keys, Current: keys.Current()},
		Inspector: credential.Inspector{Store: store},
		Logger:    logger,
	})
	return nil
}
