// Command probe reaches the systems that credentials are for: the probes of a
// stored credential, its trees and samples, POST /data_credentials/probe before
// one is stored, and POST /data_credentials/{id}/versions, which switches to a
// new secret only once it works. It alone links drivers and has a way out,
// through netguard.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"credence/shared/api/credentials"
	"credence/shared/boot"
	types "credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/envelope/awskms"
	"credence/shared/function"
	"credence/shared/probe"
	probers "credence/shared/probe/builtin"
	"credence/shared/probe/netguard"
	"credence/shared/store/dynamo"
)

func main() { function.Start(handler) }

func handler(p *function.Process) (lambda.Handler, error) {
	p.Tables(dynamo.Tables{Meta: p.Required("META_TABLE"), Vault: p.Required("VAULT_TABLE"), Audit: p.Required("AUDIT_TABLE")})
	keys, keysErr := awskms.New(p.AWS, p.Required("KMS_KEY"), p.List("KMS_PREVIOUS_KEYS")...)
	registry, typesErr := types.Registry()
	guard, guardErr := newGuard(p)
	egress, egressErr := netguard.ParseRanges(p.Optional("PROBE_EGRESS"))
	if err := errors.Join(keysErr, typesErr, guardErr, egressErr); err != nil {
		return nil, err
	}
	boot.TameDrivers()
	editor := credential.Editor{Service: credential.Service{Store: p.Store, Types: registry, Now: time.Now}, Keys: keys}
	tester := credential.Tester{
		Service: editor.Service, Keys: keys,
		Runner: probe.NewRunner(probers.Probers(), guard, probe.Config{Log: p.Logger, Egress: egress}),
		Failed: credentials.LogFailed(p.Logger),
	}
	return p.HTTP(nil, credentials.Probing{Tester: tester, Switcher: credential.Switcher{Editor: editor, Tester: tester}}.Routes())
}

// newGuard lets probes reach the public internet and the private ranges that
// the operator named; never what serves this process.
func newGuard(p *function.Process) (*netguard.Guard, error) {
	allow, allowErr := netguard.ParseAllow(p.Optional("PROBE_ALLOWED_RANGES"), false)
	// Without the file the guard knows of no name server.
	resolv, _ := os.ReadFile("/etc/resolv.conf")
	self, selfErr := netguard.OwnAddrs(context.Background(), string(resolv),
		p.Optional("AWS_LAMBDA_RUNTIME_API"), p.Optional("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
		p.Optional("AWS_ENDPOINT_URL_DYNAMODB"), p.Optional("AWS_ENDPOINT_URL_KMS"))
	if err := errors.Join(allowErr, selfErr); err != nil {
		return nil, err
	}
	return netguard.New(netguard.Policy{Allow: allow, Self: self})
}
