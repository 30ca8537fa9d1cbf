package database_test

import (
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/builtin"
	"credence/shared/probe/database"
	"credence/shared/probe/probetest"
	"credence/shared/secret"
)

// stored are settings that never passed a declaration, as an old record may
// hold them.
type stored map[string]string

func (s stored) Text(name string) string         { return s[name] }
func (s stored) Secret(name string) secret.Value { return secret.NewText(s[name]) }
func (s stored) Int(string) (int64, bool)        { return 5432, true }
func (s stored) Bool(string) (bool, bool)        { return false, false }
func (s stored) Has(name string) bool            { return s[name] != "" }
func (s stored) Method() string                  { return "" }

// What our own rules refuse is refused before anything is looked up or
// dialled, by every prober of databases.
func TestNothingIsDialled(t *testing.T) {
	const canary = "canary-8812"
	for name, row := range map[string]struct {
		field, value string
		want         probe.Code
		pointer      string
	}{
		"sslmode prefer":        {"sslmode", "prefer", probe.CodeDestinationBlocked, "sslmode"},
		"sslmode allow":         {"sslmode", "allow", probe.CodeDestinationBlocked, "sslmode"},
		"sslmode in capitals":   {"sslmode", "DISABLE", probe.CodeDestinationBlocked, "sslmode"},
		"no user":               {"username", "", probe.CodeSecretNotTested, "username"},
		"no password":           {"password", "", probe.CodeSecretNotTested, "password"},
		"NUL in the user":       {"username", "a\x00options\x00-c x", probe.CodeAuthMethodUnsupported, "username"},
		"line break in user":    {"username", "a\nb", probe.CodeAuthMethodUnsupported, "username"},
		"NUL in the password":   {"password", canary + "\x00x", probe.CodeAuthMethodUnsupported, "password"},
		"NUL in the database":   {"database_name", "a\x00b", probe.CodeDestinationBlocked, "database_name"},
		"a path as host":        {"host", "/var/run/postgresql", probe.CodeDestinationBlocked, "host"},
		"hosts":                 {"host", "127.0.0.1,127.0.0.1", probe.CodeDestinationBlocked, "host"},
		"a connection text":     {"host", "127.0.0.1 sslmode=disable", probe.CodeDestinationBlocked, "host"},
		"host with a port":      {"host", "127.0.0.1:22", probe.CodeDestinationBlocked, "host"},
		"host with a NUL":       {"host", "127.0.0.1\x00", probe.CodeDestinationBlocked, "host"},
		"another's address":     {"host", "169.254.169.254", probe.CodeDestinationBlocked, "host"},
		"in a form of its own":  {"host", "0x7f000001", probe.CodeDestinationBlocked, "host"},
		"of this network":       {"host", "10.1.2.3", probe.CodeDestinationBlocked, "host"},
		"plaintext, not listed": {"sslmode", "disable", probe.CodeTLSRequired, "sslmode"},
	} {
		for _, typeName := range []string{"mysql", "postgres"} {
			t.Run(name+", "+typeName, func(t *testing.T) {
				s := stored{"host": "93.184.215.14", "username": "app", "password": canary, "database_name": "app"}
				s[row.field] = row.value
				got := probe.NewRunner(builtin.Probers(), probetest.Loopback(t, nil), probe.Config{}).Run(t.Context(), typeName, s)
				probetest.Sound(t, got, canary)
				if got.Code != row.want || got.Pointer != "/credentials/"+row.pointer {
					t.Errorf("got %s at %s, want %s at %s: %s", got.Code, got.Pointer, row.want, row.pointer, got.Message)
				}
				if dialled := probetest.Stage(got, probe.TCP).Outcome; dialled != probe.StageSkipped {
					t.Errorf("the stage tcp is %s", dialled)
				}
			})
		}
	}
}

func TestVersion(t *testing.T) {
	for text, want := range map[string]string{
		"15.14 (Debian 15.14-0+deb12u1)": "15.14", "18beta1": "18", "8.0.36-log": "8.0.36", "16.": "16", "": "", "x1": "",
		"10.11.14-MariaDB": "10.11.14", "8.0.4711": "8.0.4711", "16.0.4135.4": "16.0.4135.4",
		"4711": "", "4711-canary": "", "20311224": "", "8.0.20311224": "", "1.2.3.4.5": "", "..": "", "1..2": "",
	} {
		if got := database.Version(text); got != want {
			t.Errorf("of %q: %q, want %q", text, got, want)
		}
	}
}
