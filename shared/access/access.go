// Package access says who may do what: roles on a credential, the permissions
// they hold, and the scopes that narrow a service key.
package access

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

// Permission is one thing that may be done, split where the risk splits.
type Permission string

// The permissions.
const (
	// SignedIn asks only for a valid session: the caller's own account.
	SignedIn Permission = "signed_in"
	// ManageKeys makes, changes and ends service keys of the caller.
	ManageKeys Permission = "manage_keys"
	// Read shows metadata and history, never the secret.
	Read Permission = "read"
	// Create makes a credential, of which the caller is then the owner.
	Create Permission = "create"
	// Probe runs the credential against the real system and shows the verdict.
	Probe Permission = "probe"
	// Use links the credential to a source or sink.
	Use Permission = "use"
	// Update changes name, description, tags and the secret, unread.
	Update Permission = "update"
	// Share changes who else holds a role.
	Share Permission = "share"
	// Delete destroys the credential and its secrets.
	Delete Permission = "delete"
	// Transfer gives the credential to another owner.
	Transfer Permission = "transfer"
	// Reveal returns the secret itself. No role below owner implies it.
	Reveal Permission = "reveal"
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
	least Role  // the lowest role that holds it; None where no credential is concerned
	scope Scope // the scope that a key needs for it; "" = none
}

var rules = map[Permission]rule{
	SignedIn:   {None, ""},
	ManageKeys: {None, ScopeWrite},
	Read:       {Collaborator, ScopeRead},
	Create:     {None, ScopeWrite},
	Probe:      {Collaborator, ScopeProbe},
	Use:        {Collaborator, ScopeUse},
	Update:     {Admin, ScopeWrite},
	Share:      {Admin, ScopeShare},
	Delete:     {Admin, ScopeWrite},
	Transfer:   {Owner, ScopeWrite},
	Reveal:     {Owner, ScopeReveal},
}

// Known reports whether p is one of the permissions above.
func (p Permission) Known() bool { _, ok := rules[p]; return ok }

// Scope is the scope that a service key must hold for p; "" = none.
func (p Permission) Scope() Scope { return rules[p].scope }

// Allows reports whether the role holds the permission. An unknown permission
// is held by nobody.
func (r Role) Allows(p Permission) bool {
	rule, ok := rules[p]
	return ok && r >= rule.least
}

// Refusal is a request turned away because the caller's service key lacks the
// scope that it needs.
type Refusal struct {
	Route      string // its pattern
	Needs      Permission
	Resource   string // what the route's id names; "" for none
	ResourceID int64  // 0 for none
}
