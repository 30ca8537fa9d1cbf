package credential

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"credence/shared/access"
	"credence/shared/identity"
	"credence/shared/store"
)

// MaxAccessors is the number of accessors of one credential. More users share it
// through a team.
const MaxAccessors = 40

// Grantee is a kind of accessor, as it is named on the wire.
type Grantee string

// The kinds.
const (
	ToUser Grantee = "USER"
	ToTeam Grantee = "TEAM"
	ToOrg  Grantee = "ORG"
	ToKey  Grantee = "SERVICE_KEY" // which may reveal the secret and holds no role
)

// Accessor is a grant of a credential.
type Accessor struct {
	Kind                 Grantee
	ID                   int64
	Role                 access.Role // None for ToKey
	Expires              time.Time   // zero = never
	CreatedAt, UpdatedAt time.Time
}

// same reports whether two accessors have the same grantee.
func (a Accessor) same(b Accessor) bool { return a.Kind == b.Kind && a.ID == b.ID }

// is finds the accessor of the same grantee.
func (a Accessor) in(list []Accessor) int { return slices.IndexFunc(list, a.same) }

func (a Accessor) expired(at time.Time) bool { return !a.Expires.IsZero() && !at.Before(a.Expires) }

// reaches reports whether the grant is one to the caller. A team counts through the
// caller's own row, which names the teams of a user.
func (a Accessor) reaches(who identity.Caller) bool {
	switch a.Kind {
	case ToUser:
		return a.ID == who.User.ID
	case ToTeam:
		return slices.Contains(who.Teams, a.ID)
	case ToOrg:
		return a.ID == who.Org.ID
	}
	return false
}

// String describes the grant in an audit entry.
func (a Accessor) String() string {
	text := fmt.Sprintf("%s %d as %s", a.Kind, a.ID, cmp.Or(a.Role.String(), access.Reveal.String()))
	if !a.Expires.IsZero() {
		text += " until " + a.Expires.UTC().Format(time.RFC3339)
	}
	return text
}

// role returns the highest role that the caller holds at a time: as the owner, as an
// admin of the organisation, or by a grant. The zero time ignores expiry.
func role(who identity.Caller, c Credential, at time.Time) access.Role {
	switch {
	case c.Owner == who.User.ID:
		return access.Owner
	case who.User.Admin:
		return access.Admin
	}
	held := access.None
	for _, a := range c.accessors {
		if a.Role > held && a.reaches(who) && !a.expired(at) {
			held = a.Role
		}
	}
	return held
}

// readsByKey reports whether the owner gave the caller's service key the right to
// reveal the secret.
func readsByKey(who identity.Caller, c Credential, at time.Time) bool {
	return slices.ContainsFunc(c.accessors, func(a Accessor) bool {
		return a.Kind == ToKey && a.ID == who.KeyID && !a.expired(at)
	})
}

// The row of the accessors is the one authority on them. Its attribute "list" has a
// line for each: kind, id, role, and the times of expiry, creation and change in
// milliseconds, 0 for none. Its revision is repeated in the credential's row, so that
// rows of different moments are told apart.

func encodeAccessors(c Credential) store.Write {
	var lines []string
	millis := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.UnixMilli()
	}
	for _, a := range c.accessors {
		lines = append(lines, fmt.Sprintf("%s %d %s %d %d %d", a.Kind, a.ID, cmp.Or(a.Role.String(), "-"), millis(a.Expires), millis(a.CreatedAt), millis(a.UpdatedAt)))
	}
	attributes := store.Attributes{"rev": c.shared, "list": strings.Join(lines, "\n")}
	// The credential's own row, in the same commit, has the condition.
	return store.Write{Verb: store.Put, Item: store.Item{Key: accessorsKey(c.Org, c.ID), Attributes: attributes}, If: store.Always()}
}

// takeAccessors reads the row of the accessors of a decoded credential.
func (c *Credential) takeAccessors(i store.Item) error {
	text := i.Attributes.Text("list")
	c.torn = i.Attributes.Int("rev") != c.shared
	if text == "" {
		return nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		a, ok := decodeAccessor(strings.Fields(line))
		if !ok {
			return errors.New("reading the accessors of a credential: a line is malformed")
		}
		c.accessors = append(c.accessors, a)
	}
	return nil
}

func decodeAccessor(f []string) (Accessor, bool) {
	if len(f) != 6 {
		return Accessor{}, false
	}
	var n [4]int64
	for i, at := range []int{1, 3, 4, 5} {
		var err error
		if n[i], err = strconv.ParseInt(f[at], 10, 64); err != nil {
			return Accessor{}, false
		}
	}
	held, known := access.ParseRole(f[2])
	when := func(millis int64) time.Time {
		if millis == 0 {
			return time.Time{}
		}
		return time.UnixMilli(millis).UTC()
	}
	a := Accessor{Kind: Grantee(f[0]), ID: n[0], Role: held, Expires: when(n[1]), CreatedAt: when(n[2]), UpdatedAt: when(n[3])}
	return a, known || a.Kind == ToKey
}

// index returns the key of the row by which the grant is found in a list: of its
// user, its team or the organisation.
func (a Accessor) index(c Credential) (store.Key, bool) {
	switch a.Kind {
	case ToUser:
		return userGrantKey(c.Org, a.ID, c.ID), true
	case ToTeam:
		return meta(identity.TeamPartition(c.Org, a.ID), rowSort(c.ID)), true
	case ToOrg:
		return meta(allPartition(c.Org), rowSort(c.ID)), true
	}
	return store.Key{}, false
}

// Shown is an accessor with the name of its grantee: an address, a team's name or an
// e-mail domain; "" for a service key and for a grantee that no longer exists.
type Shown struct {
	Accessor
	Name string
}

// shown reads the names of grantees.
func (s Service) shown(ctx context.Context, org identity.Org, list []Accessor) ([]Shown, error) {
	out := make([]Shown, len(list))
	var keys []store.Key
	var at []int
	for n, a := range list {
		out[n].Accessor = a
		switch a.Kind {
		case ToUser:
			keys, at = append(keys, identity.UserKey(org.ID, a.ID)), append(at, n)
		case ToTeam:
			keys, at = append(keys, identity.TeamKey(org.ID, a.ID)), append(at, n)
		case ToOrg:
			out[n].Name = org.EmailDomain
		}
	}
	if len(keys) == 0 {
		return out, nil
	}
	rows, err := s.Store.Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	for n, row := range rows {
		name := "name"
		if out[at[n]].Kind == ToUser {
			name = "email"
		}
		out[at[n]].Name = row.Attributes.Text(name)
	}
	return out, nil
}
