package netguard_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"credence/shared/probe"
	"credence/shared/probe/builtin"
	"credence/shared/secret"
)

// settings are of a record that never passed a declaration: the guard is alone
// with what it is given.
type settings map[string]any

func (s settings) Text(name string) string         { v, _ := s[name].(string); return v }
func (s settings) Secret(name string) secret.Value { return secret.NewText(s.Text(name)) }
func (s settings) Int(name string) (int64, bool)   { v, ok := s[name].(int64); return v, ok }
func (s settings) Bool(name string) (bool, bool)   { v, ok := s[name].(bool); return v, ok }
func (s settings) Has(name string) bool            { return s.Text(name) != "" }
func (s settings) Method() string                  { return s.Text("auth.type") }

// where is what an aim points at.
type where struct {
	host  string // a literal without brackets, a name, or what somebody tries in their place
	port  int64
	plain bool // without TLS
}

// url is the address of a web server there.
func (w where) url(path string) string {
	scheme, host := "https://", w.host
	if w.plain {
		scheme = "http://"
	}
	if strings.Contains(host, ":") && !strings.ContainsAny(host, "[@/") {
		host = "[" + host + "]"
	}
	return scheme + host + ":" + portText(w.port) + path
}

// aim is one setting, or a group of them, by which a credential names a host.
type aim struct {
	typeName string
	way      string
	settings func(w where) settings
	web      bool   // over HTTP, which has redirects
	again    bool   // asks a second time, so that a name is looked up twice
	pinned   bool   // the settings name no host: the prober's own are reached whatever they say
	answer   string // of a public server, good enough to be asked again
}

func (a aim) String() string { return a.typeName + " by " + a.way }

const answerName = "data" // of the bucket that the double lists

// aims are all ways to point a credential at a host, for every prober. A type
// without one fails the tests.
func aims(t *testing.T) []aim {
	t.Helper()
	file := keyFile(t)
	all := []aim{
		{typeName: "postgres", way: "host", settings: database},
		{typeName: "mysql", way: "host", settings: database},
		{typeName: "rest", way: "base_url", web: true, again: true, settings: func(w where) settings {
			return settings{"api_key": key, "base_url": w.url("/x")}
		}},
		{typeName: "rest", way: "test.url", web: true, again: true, settings: func(w where) settings {
			return settings{"auth.type": "BASIC", "basic.username": "app", "basic.password": key, "test.url": w.url("/x?y=z"), "base_url": "https://93.184.216.35/"}
		}},
		{typeName: "rest", way: "token.auth.url", web: true, again: true, answer: `{"access_token":"t"}`, settings: func(w where) settings {
			return settings{"auth.type": "TOKEN", "token.auth.url": w.url("/login"), "token.auth.body": key, "test.url": w.url("/x")}
		}},
		{typeName: "rest", way: "oauth2.access.token.url", web: true, again: true, answer: `{"access_token":"t"}`, settings: func(w where) settings {
			return settings{"auth.type": "OAUTH2", "oauth2.client.id": "app", "oauth2.client.secret": key, "oauth2.access.token.url": w.url("/token"), "base_url": w.url("/x")}
		}},
		{
			typeName: "s3", way: "endpoint", web: true, again: true,
			answer: `<ListBucketResult><Name>` + answerName + `</Name><KeyCount>0</KeyCount></ListBucketResult>`,
			settings: func(w where) settings {
				return settings{"s3_auth_type": "Access Key", "access_key": "AKIACANARY0001", "secret_key": key, "bucket": answerName, "endpoint": w.url("")}
			},
		},
		{typeName: "s3", way: "settings that are another type's", web: true, pinned: true, settings: func(w where) settings {
			return settings{"s3_auth_type": "Access Key", "access_key": "AKIACANARY0001", "secret_key": key, "bucket": answerName, "region": "eu-central-1", "host": w.host, "base_url": w.url(""), "nx_external_host": w.url("")}
		}},
		{
			typeName: "gcs", way: "every address of the key file", web: true, again: true, pinned: true, answer: `{"access_token":"t"}`,
			settings: func(w where) settings {
				account := map[string]string{"type": "service_account", "client_email": "x@y.iam.gserviceaccount.com", "private_key": file, "universe_domain": w.host}
				for _, name := range []string{"token_uri", "auth_uri", "auth_provider_x509_cert_url", "client_x509_cert_url", "service_account_impersonation_url"} {
					account[name] = w.url("/token")
				}
				text, err := json.Marshal(account)
				if err != nil {
					panic(err)
				}
				return settings{"json_creds": string(text), "bucket": "open-data", "endpoint": w.url(""), "base_url": w.url(""), "oauth2.access.token.url": w.url(""), "host": w.host}
			},
		},
	}
	for typeName := range builtin.Probers() {
		if !strings.Contains(" "+kinds(all), " "+typeName+" ") {
			t.Fatalf("no way is told to point a credential of the type %s at a host: add its aims", typeName)
		}
	}
	return all
}

func kinds(all []aim) string {
	var list strings.Builder
	for _, a := range all {
		list.WriteString(a.typeName + " ")
	}
	return list.String()
}

// key is the secret of every credential here.
const key = "canary-guard-19c2"

func database(w where) settings {
	s := settings{"host": w.host, "port": w.port, "username": "app", "password": key, "database_name": "app"}
	if w.plain {
		s["sslmode"] = "disable"
	}
	return s
}

// keyFile makes the private key of a service account, once.
func keyFile(t *testing.T) string {
	t.Helper()
	text, err := madeKey()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

var madeKey = sync.OnceValues(func() (string, error) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
})

// with gives the settings, and one more.
func (s settings) with(name string, value any) settings {
	s[name] = value
	return s
}

var _ probe.Settings = settings{}

// portOf is the port of host:port.
func portOf(t *testing.T, address string) int64 {
	t.Helper()
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return int64(at.Port)
}
