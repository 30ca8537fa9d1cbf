package main

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkShared times a page of 100 among 10,000 credentials, for their owner, for an
// admin of the organisation, and for a user to whom they are granted through the last of
// 20 teams; and a read of one by that user and by its owner.
func BenchmarkShared(b *testing.B) {
	m := newMatrix(b)
	team := ""
	for n := range 19 {
		team = idMember.FindStringSubmatch(m.ok(b, "org-admin", "POST", "/teams", fmt.Sprintf(`{"name":"t%d","members":[{"id":%s}]}`, n, m.id["operator"])))[1]
	}
	grant := `{"accessors":[{"type":"TEAM","id":` + team + `,"access_role":"operator"}]}`
	one := ""
	for range 10_000 {
		one = "/data_credentials/" + idMember.FindStringSubmatch(m.ok(b, "owner", "POST", "/data_credentials", matrixCredential))[1]
		m.ok(b, "owner", "PUT", one+"/accessors", grant)
	}
	for _, row := range []struct{ name, who, path string }{
		{"page/owner", "owner", "/data_credentials?per_page=100"},
		{"page/admin", "org-admin", "/data_credentials?per_page=100&access_role=admin"},
		{"page/team", "operator", "/data_credentials?per_page=100&access_role=operator"},
		{"read/owner", "owner", one},
		{"read/team", "operator", one},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if body := m.ok(b, row.who, "GET", row.path, ""); strings.Count(body, `"access_roles"`) == 0 {
					b.Fatal("nothing is listed")
				}
			}
		})
	}
}
