package postgres_test

import (
	"strings"
	"testing"

	"credence/shared/probe"
)

// odd are passwords that a client may spoil on their way.
var odd = []string{
	" leading", "trailing ", "  two  blanks  ", "tab\tinside", "line\nbreak", "cr\rinside", "it's", `"double"`, "`back`", `back\slash`, `\`, `\\`, `trailing\`,
	"per%cent", "%41", "%00", "%s%n", "pl+us", "am&p=er", "semi;colon", "co:lon", "sl/ash", "at@sign", "ha#sh", "quest?ion", "dol$lar", "$HOME", "bra{ce}", "[brack]", "<angle>",
	"comma,s", "=equals=", "n=x,r=y", "p=,", "dash--comment", "/* c */", "\x01start", "end\x7f", "\x1besc", "münchen", "пароль", "密码密码", "😀😀", "e\u0301", "\u00e9",
	"\u2168", "\u00ad" + "soft", "a\u200bb", "a\u00a0b", "\u3000wide", "\ufb01ligature", "\u212bngstrom", "\u0627abc", "ſharp", "ＦＵＬＬ", "a\u0340b", "\ue000private", "\ufeffbom",
	strings.Repeat("x", 100), strings.Repeat("é", 100), strings.Repeat("0123456789", 90), "null", "''", "O''Brien", "password", "0",
}

// passwords compares the prober with psql, an independent client: each password
// that psql can use is valid, and each that it cannot is not.
func passwords(t *testing.T, s *server, good settings) {
	s.sql(t, "CREATE ROLE odd LOGIN; GRANT CONNECT ON DATABASE app TO odd")
	for _, method := range []string{"scram-sha-256", "md5"} {
		for _, password := range odd {
			// PostgreSQL takes U+0340 as it is, for a prohibited character; the driver
			// normalizes it, so the right password is refused.
			if method == "scram-sha-256" && strings.ContainsRune(password, '\u0340') {
				continue
			}
			s.sql(t, "SET password_encryption = '"+method+"'; SET standard_conforming_strings = on; ALTER ROLE odd PASSWORD '"+strings.ReplaceAll(password, "'", "''")+"'")
			for _, sent := range []string{password, password + "x", strings.TrimSpace(password)} {
				c := s.command("psql", "-X", "-A", "-t", "-w", "-h", "127.0.0.1", "-p", s.port, "-U", "odd", "-c", "SELECT 1", "app")
				c.Env = append(c.Env, "PGPASSWORD="+sent, "PGSSLMODE=disable")
				admits := c.Run() == nil
				if got := run(t, good.with(settings{"username": "odd", "password": sent, "sslmode": "disable"})); (got.Code == probe.CodeOK) != admits {
					t.Errorf("%s %q, sent %q: psql %t, the prober %s", method, password, sent, admits, got.Code)
				}
			}
		}
	}
}
