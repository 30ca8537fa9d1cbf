package credential_test

import (
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/identity"
	"credence/shared/store"
	"credence/shared/store/embedded"
)

// inspected is a copy of a store that a server filled: two organisations, and in
// the first of them two users, three credentials of two versions each, one of them
// in use, and one that is deleted.
func inspected(t *testing.T) (store.Store, int64, []int64) {
	t.Helper()
	f, err := os.Open("../store/embedded/testdata/format1.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, embedded.FileName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := embedded.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	orgs, err := identity.New(s, audit.Journal{}, nil).Orgs(t.Context())
	if err != nil || len(orgs) != 2 {
		t.Fatalf("%d organisations, %v", len(orgs), err)
	}
	var ids []int64
	for _, item := range rows(t, s, store.Meta, partition(orgs[0].ID), "CRED#") {
		ids = append(ids, number(t, item.Key.Sort))
	}
	return s, orgs[0].ID, ids
}

func partition(org int64) string { return identity.OrgKey(org).Partition }

func digits(n int64) string { return strconv.FormatInt(n, 10) }

func number(t *testing.T, sort string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(sort[strings.Index(sort, "#")+1:], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func rows(t *testing.T, s store.Store, table store.Table, partition, prefix string) []store.Item {
	t.Helper()
	page, err := s.Range(t.Context(), store.Range{Table: table, Partition: partition, From: prefix, To: prefix + "~"})
	if err != nil {
		t.Fatal(err)
	}
	return page.Items
}

func inspect(ctx context.Context, i credential.Inspector, org int64, limit int) (all credential.Inspected, calls int, err error) {
	for {
		done, err := i.Org(ctx, org, all.Next, limit)
		if err != nil {
			return all, calls, err
		}
		calls++
		all.Users += done.Users
		all.Credentials += done.Credentials
		all.Secrets += done.Secrets
		all.References += done.References
		all.AuditEntries += done.AuditEntries
		all.Findings = append(all.Findings, done.Findings...)
		if all.Next = done.Next; all.Next == "" {
			return all, calls, nil
		}
	}
}

func TestInspectFindsNothingInASoundStore(t *testing.T) {
	s, org, _ := inspected(t)
	got, _, err := inspect(t.Context(), credential.Inspector{Store: s}, org, 100)
	if err != nil || len(got.Findings) > 0 || got.Users != 2 || got.Credentials != 3 || got.Secrets != 6 || got.References != 1 || got.AuditEntries == 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestInspectFinds damages one row of a sound store, in every way that breaks a
// promise between rows, and wants it named.
func TestInspectFinds(t *testing.T) {
	type world struct {
		s     store.Store
		org   int64
		ids   []int64
		owner int64
	}
	own := func(w world, n int) string { return partition(w.org) + "#C#" + digits(w.ids[n]) }
	for _, row := range []struct {
		name, says string
		table      store.Table
		partition  func(world) string
		prefix     string
		change     func(store.Attributes) // nil = the row goes
	}{
		{"organisation", "row of the organisation", store.Meta, func(w world) string { return partition(w.org) }, "ORG", nil},
		{"list of organisations", "list of organisations", store.Meta, func(world) string { return "SYS" }, "ORG#", func(a store.Attributes) { a["org"] = int64(1) }},
		{"user gone", "leads to user", store.Meta, func(w world) string { return partition(w.org) }, "USER#", nil},
		{"address gone", "does not lead to the user", store.Meta, func(w world) string { return partition(w.org) }, "MAIL#", nil},
		{"address of another", "does not lead to the user", store.Meta, func(w world) string { return partition(w.org) }, "MAIL#", func(a store.Attributes) { a["user"] = int64(9) }},
		{"key gone", "the row counts", store.Meta, func(w world) string { return partition(w.org) + "#U#" + digits(w.owner) }, "KEY#", nil},
		{"key without its hash", "service key does not decode", store.Meta, func(w world) string { return partition(w.org) + "#U#" + digits(w.owner) }, "KEY#", func(a store.Attributes) { delete(a, "hash") }},
		{"count of keys", "the row counts", store.Meta, func(w world) string { return partition(w.org) }, "USER#", func(a store.Attributes) { a["keys"] = a.Int("keys") + 1 }},
		{"credential gone", "does not exist", store.Meta, func(w world) string { return partition(w.org) }, "CRED#", nil},
		{"credential without an owner", "does not decode", store.Meta, func(w world) string { return partition(w.org) }, "CRED#", func(a store.Attributes) { delete(a, "owner") }},
		{"owner of a credential", "organisation's list does not name", store.Meta, func(w world) string { return partition(w.org) }, "CRED#", func(a store.Attributes) { a["owner"] = int64(9) }},
		{"list of the organisation", "organisation's list does not name", store.Meta, func(w world) string { return partition(w.org) + "#IDX" }, "CRED#", nil},
		{"list of the owner", "list of its owner", store.Meta, func(w world) string { return partition(w.org) + "#U#" + digits(w.owner) }, "CRED#", nil},
		{"count of references", "counts 5 uses", store.Meta, func(w world) string { return partition(w.org) }, "CRED#", func(a store.Attributes) { a["refs"] = int64(5) }},
		{"reference gone", "counts 1 uses, and 0 are stored", store.Meta, func(w world) string { return own(w, 2) }, "REF#", nil},
		{"version gone", "Nothing is known of version", store.Meta, func(w world) string { return own(w, 0) }, "VER#", nil},
		{"active version", "is at version 7", store.Meta, func(w world) string { return partition(w.org) }, "CRED#", func(a store.Attributes) { a["sv"] = int64(7) }},
		{"newest version", "is newer than its newest", store.Meta, func(w world) string { return partition(w.org) }, "CRED#", func(a store.Attributes) { a["hsv"] = int64(1) }},
		{"secret gone", "is gone", store.Vault, func(w world) string { return partition(w.org) }, "SEC#", nil},
		{"secret's head", "is no sealed record", store.Vault, func(w world) string { return partition(w.org) }, "SEC#", func(a store.Attributes) { a.Bytes("ct")[0] ^= 1 }},
		{"secret cut off", "is no sealed record", store.Vault, func(w world) string { return partition(w.org) }, "SEC#", func(a store.Attributes) { a["ct"] = a.Bytes("ct")[:50] }},
		{"secret without its data key", "is no sealed record", store.Vault, func(w world) string { return partition(w.org) }, "SEC#", func(a store.Attributes) { delete(a, "dk") }},
		{"secret of another key", `is sealed under the key "local-0000000000000000"`, store.Vault, func(w world) string { return partition(w.org) }, "SEC#", func(a store.Attributes) { a["kid"] = "local-0000000000000000" }},
		{"audit entry", "audit log of credential", store.Audit, func(w world) string { return own(w, 0) }, "E#", nil},
		{"audit head", "audit log of credential", store.Audit, func(w world) string { return own(w, 0) }, "HEAD", func(a store.Attributes) { a["hash"] = "0" }},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, org, ids := inspected(t)
			w := world{s: s, org: org, ids: ids}
			w.owner = rows(t, s, store.Meta, partition(org), "CRED#")[0].Attributes.Int("owner")
			kid := rows(t, s, store.Vault, partition(org), "SEC#")[0].Attributes.Text("kid")
			found := rows(t, s, row.table, row.partition(w), row.prefix)
			if len(found) == 0 {
				t.Fatal("there is no such row")
			}
			write := store.Write{Verb: store.Delete, Item: found[0], If: store.Present()}
			if row.change != nil {
				row.change(found[0].Attributes)
				write.Verb, write.Item = store.Put, found[0]
			}
			if err := s.Commit(t.Context(), write); err != nil {
				t.Fatal(err)
			}
			got, _, err := inspect(t.Context(), credential.Inspector{Store: s, KeyIDs: []string{kid}}, org, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range got.Findings {
				if f.Remedy == "" || f.Key.Partition == "" {
					t.Errorf("%+v has no place or no remedy", f)
				}
				if strings.Contains(f.Problem, row.says) {
					return
				}
			}
			t.Errorf("findings %+v, want one that says %q", got.Findings, row.says)
		})
	}
}
