package access_test

import (
	"slices"
	"testing"

	"credence/shared/access"
)

var roles = []access.Role{access.None, access.Collaborator, access.Operator, access.Admin, access.Owner}

// TestWhoMayDoWhat is the whole matrix. Least is the lowest role that holds a
// permission; every role above holds it too.
func TestWhoMayDoWhat(t *testing.T) {
	rows := []struct {
		permission access.Permission
		least      access.Role
		scope      access.Scope
	}{
		{access.SignedIn, access.None, ""},
		{access.ManageKeys, access.None, "write"},
		{access.Create, access.None, "write"},
		{access.Read, access.Collaborator, "read"},
		{access.Probe, access.Collaborator, "probe"},
		{access.Use, access.Collaborator, "use"},
		{access.Update, access.Admin, "write"},
		{access.Share, access.Admin, "share"},
		{access.Delete, access.Admin, "write"},
		{access.Transfer, access.Owner, "write"},
		{access.Reveal, access.Owner, "reveal"},
	}
	for _, row := range rows {
		if got := row.permission.Scopes(); !row.permission.Known() || row.scope == "" && len(got) > 0 || row.scope != "" && !slices.Equal(got, []access.Scope{row.scope}) {
			t.Errorf("%s: known %v, scopes %q, want %q", row.permission, row.permission.Known(), got, row.scope)
		}
		for _, role := range roles {
			if got, want := role.Allows(row.permission), role >= row.least; got != want {
				t.Errorf("%q may %s: %v, want %v", role, row.permission, got, want)
			}
		}
	}
}

func TestAnUnknownPermissionIsNobodys(t *testing.T) {
	for _, p := range []access.Permission{0, 1 << 15, access.Read | 1<<15} {
		if p.Known() {
			t.Errorf("%b is known", p)
		}
		for _, role := range roles {
			if role.Allows(p) {
				t.Errorf("%q may %b", role, p)
			}
		}
	}
}

// A set of permissions requires the scopes and the roles of all its members.
func TestSetsOfPermissions(t *testing.T) {
	for _, row := range []struct {
		set           access.Permission
		name          string
		least         access.Role
		held, missing []access.Scope
	}{
		{access.Reveal | access.Create, "create+reveal", access.Owner, []access.Scope{"reveal"}, []access.Scope{"write"}},
		{access.Update | access.Probe, "probe+update", access.Admin, nil, []access.Scope{"probe", "write"}},
		{access.Update | access.Delete, "update+delete", access.Admin, []access.Scope{"read", "share"}, []access.Scope{"write"}},
		{access.Read | access.SignedIn, "signed_in+read", access.Collaborator, []access.Scope{"read"}, nil},
	} {
		if got := row.set.Missing(row.held); row.set.String() != row.name || !slices.Equal(got, row.missing) {
			t.Errorf("%s with %q misses %q, want %s to miss %q", row.set, row.held, got, row.name, row.missing)
		}
		for _, role := range roles {
			if got, want := role.Allows(row.set), role >= row.least; got != want {
				t.Errorf("%q may %s: %v, want %v", role, row.set, got, want)
			}
		}
	}
}

func TestEveryScopeIsNeededForSomething(t *testing.T) {
	needed := map[access.Scope]bool{}
	for _, p := range []access.Permission{
		access.SignedIn, access.ManageKeys, access.Read, access.Create, access.Probe, access.Use, access.Update,
		access.Share, access.Delete, access.Transfer, access.Reveal,
	} {
		for _, scope := range p.Scopes() {
			needed[scope] = true
		}
	}
	seen := map[access.Scope]bool{}
	for _, s := range access.Scopes {
		if s == "" || seen[s] || !needed[s] {
			t.Errorf("the scope %q is empty, listed twice or needed for nothing", s)
		}
		seen[s] = true
		delete(needed, s)
	}
	if len(needed) != 0 {
		t.Errorf("scopes that no key can hold: %v", needed)
	}
}

func TestRoleNames(t *testing.T) {
	for name, want := range map[string]access.Role{
		"owner": access.Owner, "admin": access.Admin, "administrator": access.Admin,
		"operator": access.Operator, "collaborator": access.Collaborator,
	} {
		if got, ok := access.ParseRole(name); !ok || got != want {
			t.Errorf("%q is read as %q, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "Owner", "none", "owner ", "root"} {
		if got, ok := access.ParseRole(name); ok || got != access.None {
			t.Errorf("%q is read as %q", name, got)
		}
	}
	for _, role := range roles[1:] {
		if got, ok := access.ParseRole(role.String()); !ok || got != role {
			t.Errorf("%q does not come back", role)
		}
	}
	if access.None.String() != "" {
		t.Errorf("no role is called %q", access.None)
	}
}
