package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"credence/shared/api/admin"
	"credence/shared/api/auditlog"
	"credence/shared/api/catalogue"
	"credence/shared/api/credentials"
	"credence/shared/api/health"
	"credence/shared/api/openapi"
	"credence/shared/api/people"
	"credence/shared/api/resources"
	"credence/shared/api/signin"
	"credence/shared/audit"
	types "credence/shared/connector/builtin"
	"credence/shared/credential"
	"credence/shared/httpapi"
	"credence/shared/probe"
	probers "credence/shared/probe/builtin"
	"credence/shared/probe/netguard"
	"credence/shared/resource"
)

// program is the service put together.
type program struct {
	handler http.Handler
	admin   admin.API
	data    *data
}

// newProgram joins every family of routes, each with what it may use.
func newProgram(ctx context.Context, o options, d *data, logger *slog.Logger) (*program, error) {
	registry, err := types.Registry()
	if err != nil {
		return nil, err
	}
	runner, err := newRunner(ctx, o, logger)
	if err != nil {
		return nil, err
	}
	service := credential.Service{Store: d.store, Types: registry, Now: time.Now}
	editor := credential.Editor{Service: service, Keys: d.keys}
	owned := resource.Service{Credentials: editor}
	tester := credential.Tester{
		Service: service, Keys: d.keys, Runner: runner, Slots: credential.ProbeSlots(),
		Failed: credentials.LogFailed(logger),
	}
	handler, err := httpapi.Stack(
		httpapi.Config{SignIn: d.identity, Denials: audit.Refusals{Store: d.store, Now: time.Now}, Logger: logger, Proxies: o.proxies},
		health.API{Store: d.store, Writes: d.writes(), Version: version}.Routes(),
		openapi.API{}.Routes(),
		signin.API{Identity: d.identity}.Routes(),
		people.API{Identity: d.identity, Grants: service, Owned: owned}.Routes(),
		catalogue.API{Types: registry}.Routes(),
		auditlog.API{Store: d.store, Clock: time.Now}.Routes(),
		credentials.Reading{Service: service, Clock: time.Now}.Routes(),
		credentials.Creating{Editor: editor}.Routes(),
		credentials.Editing{Editor: editor}.Routes(),
		resources.API{Service: owned, Clock: time.Now}.Routes(),
		credentials.Revealing{
			Revealer: credential.Revealer{Service: service, Keys: d.keys},
			Copier:   credential.Copier{Editor: editor, Keys: d.keys},
		}.Routes(),
		credentials.Probing{Tester: tester, Switcher: credential.Switcher{Editor: editor, Tester: tester}}.Routes(),
	)
	if err != nil {
		return nil, err
	}
	return &program{handler: handler, admin: admin.API{Identity: d.identity, Store: d.store}, data: d}, nil
}

func newRunner(ctx context.Context, o options, logger *slog.Logger) (*probe.Runner, error) {
	// A machine without the file has its name servers elsewhere; the guard then
	// knows of none.
	resolv, _ := os.ReadFile("/etc/resolv.conf")
	self, err := netguard.OwnAddrs(ctx, string(resolv))
	if err != nil {
		return nil, fmt.Errorf("finding this machine's own addresses: %w", err)
	}
	guard, err := netguard.New(netguard.Policy{Allow: o.allow, Loopback: o.loopback(), Self: self})
	if err != nil {
		return nil, err
	}
	return probe.NewRunner(probers.Probers(), guard, probe.Config{Log: logger, Egress: o.egress}), nil
}

// welcome says where everything is. The first start creates an organisation, a
// user and a key, which is shown this once.
func (p *program) welcome(ctx context.Context, o options, out io.Writer) error {
	_, _ = fmt.Fprintf(out, "Credence %s serves %s\nEvery route: %s/docs\nData and key file: %s (credence backup copies the data; keep a copy of the key file in another place)\n", versionText(), o.url(), o.url(), o.Data)
	if !p.data.fresh {
		_, _ = fmt.Fprintf(out, "Another service key: %s key add EMAIL --data %s\n", os.Args[0], o.Data)
		return nil
	}
	r, err := p.admin.Do(ctx, admin.Command{Action: admin.AddOrg, Name: "My organisation", Email: firstEmail})
	if err != nil {
		return fmt.Errorf("making the first organisation: %w", err)
	}
	_, _ = fmt.Fprintf(out, first, r.OrgName, r.OrgID, r.Email, r.ServiceKey, o.url())
	return nil
}

const firstEmail = "admin@example.com"

const first = `
This is the first start: it created the organisation %q (%d), the user %s and a service key.
The key is shown only now:

%s

Try it from another terminal. First run this, paste the key and press Enter, so that it stays out of the history:

read -rs KEY

Then paste these:

API=%s
TOKEN=$(curl -s -X POST $API/token -H "Authorization: Basic $KEY" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -s $API/users/current -H "Authorization: Bearer $TOKEN"
curl -s $API/data_credentials -H "Authorization: Bearer $TOKEN" -d '{"name":"my api","credentials_type":"rest","credentials":{"api_key":"secret","base_url":"https://api.example.com"}}'
curl -s $API/data_credentials -H "Authorization: Bearer $TOKEN"

`
