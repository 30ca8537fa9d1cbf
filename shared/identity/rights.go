package identity

import (
	"fmt"
	"slices"
	"time"

	"credence/shared/access"
	"credence/shared/fault"
)

// The rights of a service key are its scopes, its expiry and the standing of
// its user. The rules of this file keep a key from gaining rights through
// another one, and from taking rights away from a stronger one:
//
//   - A caller acts on the own keys; an admin acts on every key of the organisation.
//   - A caller acts on a key whose scopes the caller's key holds. Among the keys of
//     one user, it must not expire more than a day later than the caller's.
//   - A caller never acts on a key of its lineage, always on what it made, and on itself.
//   - A caller gives no scope and no time that the caller's key does not have.
//   - "reveal" is given by the owner of a key alone. An act by which somebody else
//     learns a key, or brings it back, takes "reveal" from it.
//
// The operator is bound by the last rule only.

// laterIsStronger is the difference of expiry from which the later one of two
// keys of a user has more rights: longer than any session lasts.
const laterIsStronger = SessionLife

// mayManage reports whether the caller sees and changes a user of the caller's
// organisation: the own one, and for admins and the operator each.
func (c Caller) mayManage(user int64) bool { return c.operator || c.User.Admin || c.User.ID == user }

// unrestricted reports whether the caller's key holds every scope.
func (c Caller) unrestricted() bool { return c.operator || holds(c.Scopes, access.Scopes) }

// owns reports whether a key signs the caller's own user in.
func (c Caller) owns(k Key) bool { return !c.operator && c.User.ID == k.OwnerID }

// mayAct returns the fault for a key of the caller's reach that has more rights
// than the caller's own.
func (c Caller) mayAct(k Key) error {
	no := func(code fault.Code, message string) error { return fault.New(code, message).On(KeyResource, k.ID) }
	missing := c.lacks(k.Scopes)
	switch {
	case c.operator, k.ID == c.KeyID, k.Lineage.Has(c.KeyID):
		return nil
	case c.Lineage.Has(k.ID):
		return no(fault.CodeForbidden, "Your key was made with this one and cannot change it. Use this key itself, or ask an admin of your organisation.")
	case len(missing) > 0:
		return no(fault.CodeScopeMissing, fmt.Sprintf(
			"This key holds the scope %q, which yours does not. Use a key that holds all of its scopes.", missing[0]))
	case c.owns(k) && c.outlived(k.ExpiresAt):
		return no(fault.CodeForbidden, "This key expires later than yours. Use this key itself or one that expires as late, or ask an admin of your organisation.")
	}
	return nil
}

// outlived reports whether a key that expires at t has more time than the
// caller's.
func (c Caller) outlived(t time.Time) bool { return t.After(c.Expires.Add(laterIsStronger)) }

// lacks returns the scopes that the caller's key does not hold.
func (c Caller) lacks(scopes []access.Scope) []access.Scope {
	return slices.DeleteFunc(slices.Clone(scopes), func(s access.Scope) bool { return slices.Contains(c.Scopes, s) })
}

// latest is the latest expiry that the caller may give to a key.
func (c Caller) latest(now time.Time) time.Time {
	end := now.Add(MaxKeyLife)
	if !c.operator && c.Expires.Before(end) {
		end = c.Expires
	}
	return end
}

// holds reports whether the scopes held include all of those wanted.
func holds(held, wanted []access.Scope) bool {
	return !slices.ContainsFunc(wanted, func(s access.Scope) bool { return !slices.Contains(held, s) })
}

// withoutReveal returns the scopes but for reveal.
func withoutReveal(scopes []access.Scope) []access.Scope {
	return slices.DeleteFunc(slices.Clone(scopes), func(s access.Scope) bool { return s == access.ScopeReveal })
}

// handOver takes "reveal" from a key that somebody other than its owner learns
// or brings back. A key that would hold no scope is left alone.
func (c Caller) handOver(k *keyRow) error {
	if c.owns(k.Key) || !slices.Contains(k.Scopes, access.ScopeReveal) {
		return nil
	}
	k.Scopes = withoutReveal(k.Scopes)
	if len(k.Scopes) == 0 {
		return fault.New(fault.CodeForbidden, "This key holds no scope but reveal, which only its owner gives. Pause or delete it, and make another key.").On(KeyResource, k.ID)
	}
	return nil
}
