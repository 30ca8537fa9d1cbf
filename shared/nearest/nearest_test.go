package nearest

import (
	"strings"
	"testing"
)

func TestTo(t *testing.T) {
	fields := []string{"host", "port", "database", "username", "password", "schema", "ssl.enabled", "ssl.mode"}
	filters := []string{"id", "name", "status", "tags", "credentials_type", "page", "per_page"}
	also := map[string]string{"search": "name", "limit": "per_page", "dbname": "database", "login": "no_such_name"}
	for _, row := range []struct {
		sent  string
		known []string
		want  string
	}{
		{"pasword", fields, "password"},
		{"passwrod", fields, "password"},
		{"hostname", fields, "host"},
		{"db_host", fields, "host"},
		{"user", fields, "username"},
		{"Host", fields, "host"},
		{"prot", fields, "port"},
		{"ssl_mode", fields, "ssl.mode"},
		{"sslmode", fields, "ssl.mode"},
		{"dbname", fields, "database"},
		{"DB-Name", fields, "database"},
		{"tag", filters, "tags"},
		{"tagz", filters, "tags"},
		{"tags[]", filters, "tags"},
		{"credential_type", filters, "credentials_type"},
		{"search", filters, "name"},
		{"limit", filters, "per_page"},
		{"limit", fields, ""},
		{"login", filters, ""},
		{"hunter2", fields, ""},
		{"x", filters, ""},
		{"ix", filters, ""},
		{"", fields, ""},
		{"_", fields, ""},
		{"host" + strings.Repeat("x", 70), fields, ""},
		{"host", nil, ""},
		{"hostname-of-the-db", fields, ""},
		{"password-is-hunter2", fields, ""},
	} {
		if got := To(row.sent, row.known, also); got != row.want {
			t.Errorf("To(%q) = %q, want %q", row.sent, got, row.want)
		}
	}
}

func TestHint(t *testing.T) {
	if got := Hint("host"); got != " Did you mean host?" {
		t.Errorf("Hint = %q", got)
	}
	if got := Hint(""); got != "" {
		t.Errorf("Hint of no name = %q", got)
	}
}
