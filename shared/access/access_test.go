package access_test

import (
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
		if !row.permission.Known() || row.permission.Scope() != row.scope {
			t.Errorf("%s: known %v, scope %q, want %q", row.permission, row.permission.Known(), row.permission.Scope(), row.scope)
		}
		for _, role := range roles {
			if got, want := role.Allows(row.permission), role >= row.least; got != want {
				t.Errorf("%q may %s: %v, want %v", role, row.permission, got, want)
			}
		}
	}
}

func TestAnUnknownPermissionIsNobodys(t *testing.T) {
	for _, p := range []access.Permission{"", "rule", "READ", "read "} {
		if p.Known() || p.Scope() != "" {
			t.Errorf("%q is known", p)
		}
		for _, role := range roles {
			if role.Allows(p) {
				t.Errorf("%q may %q", role, p)
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
		needed[p.Scope()] = true
	}
	seen := map[access.Scope]bool{}
	for _, s := range access.Scopes {
		if s == "" || seen[s] || !needed[s] {
			t.Errorf("the scope %q is empty, listed twice or needed for nothing", s)
		}
		seen[s] = true
		delete(needed, s)
	}
	delete(needed, "")
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
