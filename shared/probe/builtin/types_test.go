package builtin_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
	types "credence/shared/connector/builtin"
	"credence/shared/probe"
	"credence/shared/probe/builtin"
	"credence/shared/probe/probetest"
)

var update = flag.Bool("update", false, "write docs/types.md anew")

// TestTypesPage compares docs/types.md with the declarations and with what the
// probers do.
func TestTypesPage(t *testing.T) {
	const name = "../../../docs/types.md"
	registry, err := types.Registry()
	if err != nil {
		t.Fatal(err)
	}
	p := &page{T: t, key: newKey(t), probers: builtin.Probers()}
	p.write(registry.All())
	if *update {
		if err := os.WriteFile(name, p.text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.text.Bytes(), want) {
		t.Errorf("%s says otherwise: go test ./shared/probe/builtin -update writes it anew", name)
	}
}

// page is docs/types.md in the making.
type page struct {
	*testing.T
	text    bytes.Buffer
	key     string // a private key that signs, in PEM form
	probers map[string]probe.Prober
}

func (p *page) line(format string, args ...any) { _, _ = fmt.Fprintf(&p.text, format+"\n", args...) }

func (p *page) write(all []*connector.Type) {
	p.line(`# Types

What each type of credential asks for, and how it is proven. A test writes this page from the declarations, and tries each way to sign
in with its prober: ` + "`go test ./shared/probe/builtin -update`" + `.

| type | for | a *valid* probe means | its prober was tried on |
|---|---|---|---|`)
	for _, t := range all {
		means, on := p.proof(t.Name)
		p.line("| [`%s`](#%[1]s) | %s | %s | %s |", t.Name, t.Title, means, on)
	}
	p.line(`
What a probe needs of the network, and what each answer of a system comes to, is in [probes.md](probes.md).

Each field has one row below, under all the names that are taken for it. A number or a truth may be sent as text. Whatever else is
sent is kept, and is secret.

- **secret**: never shown but by ` + "`GET /data_credentials/{id}/credentials`" + `.
- **public**: shown in ` + "`credentials_non_secure_data`" + ` to the owner and to admins.
- **place**: decides where the secret goes, or how that is verified. It is sealed with the secret: to change it, send the secret again.`)
	for _, t := range all {
		p.section(t)
	}
}

// proof reads what the prober's folder says of it: what a valid verdict means,
// and what its own tests ran against, a paragraph each.
func (p *page) proof(name string) (means, on string) {
	p.Helper()
	prober, ok := p.probers[name]
	if !ok {
		return "It is not probed: `NO_PROBE_FOR_TYPE`.", "–"
	}
	_, folder, _ := strings.Cut(reflect.TypeOf(prober).PkgPath(), "/shared/probe/")
	text, err := os.ReadFile(filepath.Join("..", folder, "proof.md"))
	if err != nil {
		p.Fatalf("%v: it says in two paragraphs what a valid verdict means and what the prober's tests ran against", err)
	}
	means, on, ok = strings.Cut(strings.TrimSpace(string(text)), "\n\n")
	if !ok || strings.ContainsAny(means+on, "|\n") {
		p.Fatalf("shared/probe/%s/proof.md is not two lines of text with an empty one between", folder)
	}
	return means, on
}

func (p *page) section(t *connector.Type) {
	p.line("\n## `%s`\n\n%s", t.Name, t.Help)
	if len(t.Needs) > 0 {
		p.line("\nRequired: %s.", names(t.Needs))
	}
	p.line("\n```json\n%s\n```", p.example(t))
	p.ways(t)
	if slices.ContainsFunc(t.Fields, func(f connector.Field) bool { return f.Name == "has_ssh_tunnel" }) {
		p.line("\nBehind an SSH bastion (`has_ssh_tunnel`): not proven, `%s`.", p.try(t, with(p.object(t.Example), "has_ssh_tunnel", true)).Code)
	}
	p.line("\n| field | what it is | value | |\n|---|---|---|---|")
	for _, f := range t.Fields {
		all := names(slices.Concat([]string{f.Name}, f.Also, f.Encoded))
		p.line("| %s | %s | %s | %s |", strings.ReplaceAll(all, ", ", " or "), strings.TrimSpace(f.Title+". "+f.Help), kind(f), marks(f))
	}
}

// example is the type's, one member a line; what it holds in base64 is shown as
// what it is.
func (p *page) example(t *connector.Type) string {
	object := p.plain(t, p.object(t.Example))
	text, err := json.Marshal(object, json.Deterministic(true), jsontext.Multiline(true), jsontext.WithIndent("  "), jsontext.EscapeForHTML(false))
	if err != nil {
		p.Fatal(err)
	}
	return string(text)
}

func (p *page) ways(t *connector.Type) {
	if len(t.Methods) == 0 {
		return
	}
	p.line("\n| way to sign in | chosen by | needs | proven |\n|---|---|---|---|")
	for _, m := range t.Methods {
		var said []string
		for _, f := range t.Fields {
			if value, ok := m.When[f.Name]; ok {
				said = append(said, fmt.Sprintf("`%s` = `%s`", f.Name, value))
			}
		}
		p.line("| %s | %s | %s | %s |", m.Name, or(strings.Join(said, ", "), "its fields"), or(names(m.Needs), "–"), p.proven(t, m))
	}
}

// proven tries a way to sign in, on a network on which there is nothing: a way
// that the prober refuses is refused before it asks for a name.
func (p *page) proven(t *connector.Type, m connector.Method) string {
	p.Helper()
	sent := p.sample(t, m)
	settings, faults := t.Check(p.marshal(sent))
	if len(faults) > 0 || settings.Method() != m.Name {
		p.Fatalf("%s, %s: the sample is taken for %q: %v", t.Name, m.Name, settings.Method(), faults)
	}
	switch code := p.try(t, sent).Code; code {
	case probe.CodeAuthMethodUnsupported:
		return fmt.Sprintf("no: `%s`", code)
	case probe.CodeDNSNotFound, probe.CodeSecretNotTested:
		if m.Name == "NONE" && !slices.ContainsFunc(t.Fields, func(f connector.Field) bool { return f.Secret && settings.Has(f.Name) }) {
			return "no: it holds no secret"
		}
		return "yes"
	default:
		p.Fatalf("%s, %s: a probe ends in %s, which does not tell whether it can be proven", t.Name, m.Name, code)
		return ""
	}
}

// sample is a credentials object of one way to sign in: its example, the
// type's if that is of this way, else one made of what the way needs.
func (p *page) sample(t *connector.Type, m connector.Method) map[string]any {
	if m.Example != nil {
		return p.plain(t, p.object(m.Example))
	}
	example := p.plain(t, p.object(t.Example))
	settings, _ := t.Check(p.marshal(example))
	if settings.Method() == m.Name && !slices.ContainsFunc(m.Needs, func(name string) bool { return !settings.Has(name) }) {
		return example
	}
	made := map[string]any{}
	for name, value := range m.When {
		made[name] = value
	}
	for _, name := range m.Needs {
		made[name] = word
		if strings.HasSuffix(name, ".url") {
			made[name] = "https://id.example.com/token"
		}
	}
	return made
}

// word stands for a secret: one without spaces, which no header or token takes.
const word = "correct-horse-battery-staple"

// plain is an example whose secrets can be sent, with the key of a service
// account, which examples only have the form of, in the open.
func (p *page) plain(t *connector.Type, object map[string]any) map[string]any {
	for _, f := range t.Fields {
		for _, name := range f.Encoded {
			if text, ok := object[name].(string); ok {
				decoded, err := base64.StdEncoding.DecodeString(text)
				if err != nil {
					p.Fatal(err)
				}
				delete(object, name)
				object[f.Name] = p.object(decoded)
			}
		}
		if text, ok := object[f.Name].(string); ok && f.Secret {
			object[f.Name] = strings.ReplaceAll(text, " ", "-")
		}
	}
	return object
}

// try probes a credential where no name has an address.
func (p *page) try(t *connector.Type, sent map[string]any) probe.Result {
	p.Helper()
	if account, ok := sent["json_creds"].(map[string]any); ok {
		sent = with(sent, "json_creds", with(account, "private_key", p.key))
	}
	p.keys(sent)
	settings, faults := t.Check(p.marshal(sent))
	if len(faults) > 0 {
		p.Fatalf("%s: %v", t.Name, faults)
	}
	return probe.NewRunner(p.probers, probetest.Loopback(p, nowhere{}), probe.Config{}).Run(p.Context(), t.Name, settings)
}

// keys puts keys that work in the place of those that have only the form.
func (p *page) keys(sent map[string]any) {
	p.Helper()
	const google, client, certificate, p12 = "gcp.service.account.credentials.json", "oauth2.client.private_key", "tls.client_certificate", "client.p12"
	if account, ok := sent[google].(map[string]any); ok {
		sent[google] = with(account, "private_key", p.key)
	}
	if sent[client] != nil {
		sent[client] = p.key
	}
	leaf := probetest.NewAuthority(p).Issue(p, probetest.Leaf{})
	if sent[certificate] != nil {
		sent[certificate], sent["tls.client_key"] = probetest.PEM(p, leaf)
	}
	if sent[p12] != nil {
		sent[p12] = probetest.P12(p, leaf, word)
	}
}

// nowhere is a name server that knows no name.
type nowhere struct{}

func (nowhere) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Name: host, IsNotFound: true}
}

func (p *page) object(text []byte) map[string]any {
	p.Helper()
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		p.Fatal(err)
	}
	return object
}

func (p *page) marshal(object map[string]any) jsontext.Value {
	p.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		p.Fatal(err)
	}
	return text
}

func with(object map[string]any, name string, value any) map[string]any {
	more := map[string]any{name: value}
	for n, v := range object {
		if n != name {
			more[n] = v
		}
	}
	return more
}

func names(list []string) string {
	quoted := make([]string, len(list))
	for i, name := range list {
		quoted[i] = "`" + name + "`"
	}
	return strings.Join(quoted, ", ")
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// kind says what the value of a field is.
func kind(f connector.Field) string {
	switch {
	case len(f.OneOf) > 0:
		return "one of " + names(f.OneOf)
	case f.Kind == connector.Number && f.Default != 0:
		return fmt.Sprintf("number, else %d", f.Default)
	case f.Kind == connector.Bool:
		return "true or false"
	case len(f.Encoded) > 0:
		return "object, its text, or (as " + names(f.Encoded) + ") in base64"
	case f.Kind == connector.Object:
		return "object, or its text"
	}
	return string(f.Kind)
}

func marks(f connector.Field) string {
	var list []string
	for mark, is := range []bool{f.Secret, f.Public, f.Destination} {
		if is {
			list = append(list, []string{"**secret**", "public", "place"}[mark])
		}
	}
	return strings.Join(list, ", ")
}

func newKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
