package connector_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"credence/shared/connector"
	"credence/shared/fault"
	"credence/shared/pattern"
)

// TestForms sends what each check takes and what it refuses. What is refused is
// never repeated.
func TestForms(t *testing.T) {
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority(t)})
	one := string(certificate)
	key := strings.ReplaceAll(one, "CERTIFICATE", "PRIVATE KEY")
	for name, c := range map[string]struct {
		check           func(string) (code, message string)
		takes, refuses  []string
		alsoNotAllowed  []string // refused with DetailForbidden
		placeholderOnly []string
	}{
		"host": {
			check: connector.CheckHost,
			takes: []string{
				"db", "db.example.com", "DB.Example.COM", "db.example.com.", "db_1.internal", "10.0.0.7", "127.1", "2130706433", "2001:db8::1", "::ffff:10.0.0.7",
				"bücher.example", "例え.テスト", "xn--bcher-kva.example", strings.Repeat("a", 63) + ".example", "a--b.c", "b-.example",
			},
			refuses: []string{
				" ", "db ", "db.example.com:5432", "https://db.example.com", "u@db", "u:p@db", "/var/run", `\\host`, "a,b", "a b", "a/b", "a?b", "a#b", "a%b", "[::1]",
				"fe80::1%eth0", "-h", "db..example", ".db", ".", "a\nb", "a\x00b", "a'b", `a"b`, "a;b", "a=b", "*.example", strings.Repeat("a", 64), "a\u202eb", "😀.example",
			},
		},
		"URL": {
			check: connector.CheckURL,
			takes: []string{
				"https://api.example.com", "http://10.0.0.7:8080/v1/", "https://api.example.com/a?b=c&d=%20", "HTTPS://API.EXAMPLE.COM", "https://[2001:db8::1]:8443/",
				"https://bücher.example/ü", "https://api.example.com/{id}?since={now-1}", "https://api.example.com?x",
			},
			refuses: []string{
				"store.example.org", "//store.example.org", "/v1", "https:", "https://", "https:///v1", "https://:443/", "ftp://x", "file:///etc/passwd", "gopher://x", "javascript:alert(1)",
				"https://u@x", "https://u:p@x", "https://@x", "https://x#f", "https://x#", "https://x y", " https://x", "https://x\n", "https://x\t/", `https://x\y`, "https://x/%zz",
				"https://[::1", "https://x:port/", "https:x",
			},
		},
		"header": {
			check:   connector.CheckHeaderName,
			takes:   []string{"X-Api-Key", "Authorization", "x", "X_Y.Z~1", "!#$%&'*+-.^_`|~"},
			refuses: []string{"X Api", "X:", "X\r\nY", "Ü", "X\x00", "X(1)", `"X"`, "X/Y", "\t"},
		},
		"certificates": {
			check:   connector.CheckCertificates,
			takes:   []string{one, one + one, strings.Repeat(one, 256), "\n" + one + "\n\n", "a note\n" + one},
			refuses: []string{" ", "/etc/ssl/ca.pem", strings.Repeat(one, 257), key, one + key, one + "more", one[:len(one)-30], strings.Replace(one, "M", "A", 1)},
		},
		"expression": {
			check:   connector.Form(pattern.New(`^[a-z]+$`), "Send letters."),
			takes:   []string{"abc"},
			refuses: []string{"", "Abc", "abc\n"},
		},
		"service account": {
			check: connector.CheckServiceAccount,
			takes: []string{
				`{"type":"service_account","client_email":"a@b","private_key":"k"}`,
				`{"type":"service_account","client_email":"a@b","private_key":"k","token_uri":"http://169.254.169.254/","more":{"x":1}}`, // it is the prober that pins the address
			},
			refuses: []string{
				``, `{`, `[]`, `"x"`, `{"type":"service_account"}`, `{"type":"service_account","client_email":"a@b"}`, `{"type":"service_account","private_key":"k"}`,
				`{"type":"service_account","client_email":"a@b","private_key":["k"]}`, `{"type":"service_account","type":"external_account","client_email":"a@b","private_key":"k"}`,
			},
			alsoNotAllowed: []string{
				`{}`, `{"type":"external_account","client_email":"a@b","private_key":"k"}`, `{"type":"authorized_user"}`, `{"type":"impersonated_service_account"}`,
				`{"TYPE":"service_account","client_email":"a@b","private_key":"k"}`, `{"type":"service_account ","client_email":"a@b","private_key":"k"}`,
			},
			placeholderOnly: []string{`{"type":"service_account","client_email":"a@b","private_key":"******"}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range c.takes {
				if code, _ := c.check(text); code != "" {
					t.Errorf("%q is %s", text, code)
				}
			}
			for want, texts := range map[string][]string{fault.DetailMalformed: c.refuses, fault.DetailForbidden: c.alsoNotAllowed, fault.DetailPlaceholder: c.placeholderOnly} {
				for _, text := range texts {
					code, message := c.check(text)
					if code != want || !strings.HasSuffix(message, ".") {
						t.Errorf("%q is %q %q, want %s", text, code, message, want)
					}
					if len(text) > 8 && strings.Contains(message, text) {
						t.Errorf("%q is repeated", text)
					}
				}
			}
		})
	}
}

// authority is a certificate that signs itself.
func authority(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
