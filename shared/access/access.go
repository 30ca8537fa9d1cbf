// Package access says who may do what: roles on a credential, the permissions
// they hold, and the scopes that narrow a service key.
package access

import (
	"slices"
	"strings"
)

// Role is what a person holds on one credential. Higher includes lower.
type Role uint8

// The roles, lowest first.
const (
	None Role = iota
	Collaborator
	Operator
	Admin
	Owner
)

var roleNames = [...]string{None: "", Collaborator: "collaborator", Operator: "operator", Admin: "admin", Owner: "owner"}

// String is the role's name on the wire; "" for None.
func (r Role) String() string { return roleNames[r] }

// ParseRole takes a role's name on the wire; "administrator" is another name
// of "admin". It reports false for anything else.
func ParseRole(name string) (Role, bool) {
	if name == "administrator" {
		return Admin, true
	}
	for r := Collaborator; r <= Owner; r++ {
		if roleNames[r] == name {
			return r, true
		}
	}
	return None, false
}

// Permission is one thing that may be done, split where the risk splits, or a
// set of them joined by |. The zero Permission is the empty set.
type Permission uint16

// The permissions.
const (
	// SignedIn requires a valid session and no scope: the caller's own account.
	SignedIn Permission = 1 << iota
	// ManageKeys makes, changes and ends service keys of the caller.
	ManageKeys
	// Read shows metadata and history, never the secret.
	Read
	// Create makes a credential, of which the caller is then the owner.
	Create
	// Probe runs the credential against the real system and shows the verdict.
	Probe
	// Use links the credential to a source or sink.
	Use
	// Update changes name, description, tags and the secret, unread.
	Update
	// Share changes who else holds a role.
	Share
	// Delete destroys the credential and its secrets.
	Delete
	// Transfer gives the credential to another owner.
	Transfer
	// Reveal returns the secret itself, or data that it gives access to. No
	// role below owner implies it.
	Reveal
)

// Scope narrows what a service key may be used for, whatever its user's role.
type Scope string

// The scopes.
const (
	ScopeRead   Scope = "read"
	ScopeProbe  Scope = "probe"
	ScopeUse    Scope = "use"
	ScopeWrite  Scope = "write"
	ScopeShare  Scope = "share"
	ScopeReveal Scope = "reveal"
)

// Scopes is every scope, in the order the wire lists them. A key that names
// none holds all of these.
var Scopes = []Scope{ScopeRead, ScopeProbe, ScopeUse, ScopeWrite, ScopeShare, ScopeReveal}

type rule struct {
	permission Permission
	name       string
	least      Role  // the lowest role that holds it; None where no credential is concerned
	scope      Scope // the scope that a key needs for it; "" = none
}

var rules = [...]rule{
	{SignedIn, "signed_in", None, ""},
	{ManageKeys, "manage_keys", None, ScopeWrite},
	{Read, "read", Collaborator, ScopeRead},
	{Create, "create", None, ScopeWrite},
	{Probe, "probe", Collaborator, ScopeProbe},
	{Use, "use", Collaborator, ScopeUse},
	{Update, "update", Admin, ScopeWrite},
	{Share, "share", Admin, ScopeShare},
	{Delete, "delete", Admin, ScopeWrite},
	{Transfer, "transfer", Owner, ScopeWrite},
	{Reveal, "reveal", Owner, ScopeReveal},
}

// rules returns the rule of each permission in the set. It reports false if the
// set is empty or has a member that is not a permission above.
func (p Permission) rules() ([]rule, bool) {
	var out []rule
	left := p
	for _, r := range rules {
		if p&r.permission != 0 {
			out = append(out, r)
			left &^= r.permission
		}
	}
	return out, p != 0 && left == 0
}

// Known reports whether p is one or several of the permissions above.
func (p Permission) Known() bool { _, ok := p.rules(); return ok }

// String returns the names of the permissions, joined by "+".
func (p Permission) String() string {
	all, _ := p.rules()
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = r.name
	}
	return strings.Join(names, "+")
}

// Scopes returns the scopes that a service key must hold for every permission
// of p, each once, in the order of Scopes.
func (p Permission) Scopes() []Scope {
	all, _ := p.rules()
	var out []Scope
	for _, s := range Scopes {
		if slices.ContainsFunc(all, func(r rule) bool { return r.scope == s }) {
			out = append(out, s)
		}
	}
	return out
}

// Missing returns the scopes of p.Scopes that held lacks.
func (p Permission) Missing(held []Scope) []Scope {
	return slices.DeleteFunc(p.Scopes(), func(s Scope) bool { return slices.Contains(held, s) })
}

// Allows reports whether the role holds every permission of p. A set that is
// not Known is allowed to no role.
func (r Role) Allows(p Permission) bool {
	all, ok := p.rules()
	return ok && !slices.ContainsFunc(all, func(need rule) bool { return r < need.least })
}

// Permissions returns the names of the permissions on a credential that the role holds.
func (r Role) Permissions() []string {
	var names []string
	for _, one := range rules {
		if one.least != None && r >= one.least {
			names = append(names, one.name)
		}
	}
	return names
}

// Refusal is a request denied because the caller's service key lacks scopes
// that the route requires.
type Refusal struct {
	Route      string // its pattern
	Missing    []Scope
	Resource   string // what the route's id names; "" for none
	ResourceID int64  // 0 for none
	Owner      int64  // of the credential that ResourceID names, if the caller may see it; else 0
}
