// Command probe reaches the systems that credentials are for: the probes of a
// stored credential, its trees and samples, POST /data_credentials/probe before
// one is stored, and POST /data_credentials/{id}/versions, which switches to a
// new secret only once it works. It alone links drivers and has a way out,
// through netguard.
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
	types "credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/envelope/awskms"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/lambdahttp"
	"credence/shared/probe"
	probers "credence/shared/probe/builtin"
	"credence/shared/probe/netguard"
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
	guard, guardErr := newGuard(ctx, &env)
	egress, egressErr := netguard.ParseRanges(env.Optional("PROBE_EGRESS"))
	cfg, cfgErr := boot.AWS(ctx, logger)
	if err := errors.Join(env.Err(), guardErr, egressErr, cfgErr); err != nil {
		return err
	}
	boot.TameDrivers()
	keys, keysErr := awskms.New(cfg, key, previous...)
	registry, typesErr := types.Registry()
	if err := errors.Join(keysErr, typesErr); err != nil {
		return err
	}
	store := dynamo.New(dynamo.Client(cfg), tables)
	service := credential.Service{Store: store, Types: registry, Now: time.Now}
	tester := credential.Tester{
		Service: service, Keys: keys,
		Prober: probe.NewRunner(probers.Probers(), guard, probe.Config{Log: logger, Egress: egress}),
		Failed: credentials.LogFailed(logger),
	}
	switcher := credential.Switcher{Editor: credential.Editor{Service: service, Keys: keys}, Tester: tester}
	handler, err := httpapi.Stack(
		httpapi.Config{SignIn: identity.New(store, audit.Journal{}, time.Now), Denials: audit.Refusals{Store: store, Now: time.Now}, Logger: logger},
		credentials.Probing{Tester: tester, Switcher: switcher}.Routes(),
	)
	if err != nil {
		return err
	}
	lambdahttp.Start(handler, lambdahttp.Options{Logger: logger})
	return nil
}

// newGuard lets probes reach the public internet and the private ranges that
// the operator named; never what serves this process.
func newGuard(ctx context.Context, env *boot.Environment) (*netguard.Guard, error) {
	allow, allowErr := netguard.ParseAllow(env.Optional("PROBE_ALLOWED_RANGES"), false)
	// Without the file the guard knows of no name server.
	resolv, _ := os.ReadFile("/etc/resolv.conf")
	self, selfErr := netguard.OwnAddrs(ctx, string(resolv),
		env.Optional("AWS_LAMBDA_RUNTIME_API"), env.Optional("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
		env.Optional("AWS_ENDPOINT_URL_DYNAMODB"), env.Optional("AWS_ENDPOINT_URL_KMS"))
	if err := errors.Join(allowErr, selfErr); err != nil {
		return nil, err
	}
	return netguard.New(netguard.Policy{Allow: allow, Self: self})
}
