package credential

import (
	"context"
	"fmt"
	"slices"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
)

// Grant is a requested accessor, or for Unshare the grantee of one. A user is named by
// id or address, a team by id or name, the organisation by id or e-mail domain, a
// service key by id.
type Grant struct {
	Kind    Grantee
	ID      int64 // 0 = by Name
	Name    string
	Role    access.Role
	Expires time.Time
	Pointer string // of the grant in the request
}

// Sharing is how a request changes the accessors.
type Sharing uint8

// The changes.
const (
	Add     Sharing = iota + 1 // adds the grants, or changes those of the same grantee
	Replace                    // leaves exactly the grants
	Remove                     // removes the grants of these grantees
	Clear                      // removes all
)

// Accessors returns the accessors of a credential. It requires the permission Read;
// a caller below admin gets the own ones only.
func (s Service) Accessors(ctx context.Context, who identity.Caller, l *ForRead) ([]Shown, error) {
	c, held, err := s.open(ctx, who, l, access.Read)
	if err != nil {
		return nil, err
	}
	list := slices.Clone(c.accessors)
	if held < access.Admin {
		list = slices.DeleteFunc(list, func(a Accessor) bool { return !a.reaches(who) })
	}
	return s.shown(ctx, who.Org, list)
}

// Share changes the accessors of a credential and returns all of them. It requires the
// permission Share, and the owner for what concerns service keys. Its error lists
// every grant that is wrong. Repeating it changes nothing.
func (s Service) Share(ctx context.Context, who identity.Caller, l *ForChange, how Sharing, grants []Grant) ([]Shown, error) {
	var list []Shown
	err := s.changing(ctx, who, l, func() error {
		c, held, err := s.open(ctx, who, &l.ForRead, access.Share)
		if err != nil {
			return err
		}
		sent, err := s.resolve(ctx, who, grants, how)
		if err != nil {
			return err
		}
		after := c
		after.accessors = how.apply(c.accessors, sent, s.now())
		if err := checkShare(c, after, held, grants); err != nil {
			return err
		}
		// Nothing is read after the commit.
		if list, err = s.shown(ctx, who.Org, after.accessors); err != nil || slices.Equal(c.accessors, after.accessors) {
			return err
		}
		return s.commitShare(ctx, who, c, after, l.head)
	})
	return list, err
}

// apply returns the accessors after the change.
func (how Sharing) apply(before, sent []Accessor, now time.Time) []Accessor {
	if how == Remove || how == Clear {
		return slices.DeleteFunc(slices.Clone(before), func(a Accessor) bool { return how == Clear || a.in(sent) >= 0 })
	}
	after := slices.Clone(before)
	if how == Replace {
		after = slices.DeleteFunc(after, func(a Accessor) bool { return a.in(sent) < 0 })
	}
	for _, a := range sent {
		a.CreatedAt, a.UpdatedAt = now, now
		at := a.in(after)
		switch {
		case at < 0:
			after = append(after, a)
		case after[at].Role != a.Role || !after[at].Expires.Equal(a.Expires):
			a.CreatedAt = after[at].CreatedAt
			after[at] = a
		}
	}
	return after
}

// checkShare returns the faults of accessors that the caller may not make.
func checkShare(before, after Credential, held access.Role, grants []Grant) error {
	if n := len(after.accessors); n > MaxAccessors {
		return fault.New(fault.CodeLimitReached, fmt.Sprintf("A credential has at most %d accessors, and this would be %d. Share it with a team.", MaxAccessors, n)).
			On(ResourceType, before.ID)
	}
	keys := func(c Credential) []Accessor {
		return slices.DeleteFunc(slices.Clone(c.accessors), func(a Accessor) bool { return a.Kind != ToKey })
	}
	if held == access.Owner || slices.Equal(keys(before), keys(after)) {
		return nil
	}
	var details []fault.Detail
	for _, g := range grants {
		if g.Kind == ToKey {
			details = append(details, fault.Detail{Pointer: g.Pointer, Code: fault.DetailForbidden, Message: "Only the owner of the credential gives a service key the right to reveal it, or takes it back."})
		}
	}
	if len(details) == 0 {
		details = []fault.Detail{{Code: fault.DetailForbidden, Message: "A service key may reveal this credential, and only its owner takes that back. Send that accessor too, or remove single ones."}}
	}
	return fault.Invalid(details)
}

// commitShare writes the accessors, the index rows, the credential's row, whose revision
// is the condition, and an entry for what was added and what was removed.
func (s Service) commitShare(ctx context.Context, who identity.Caller, before, after Credential, head audit.Head) error {
	if before.torn { // the two rows were read on both sides of another commit
		return fmt.Errorf("sharing a credential: %w", store.ErrConflict)
	}
	after.shared++
	row, err := encode(after)
	if err != nil {
		return err
	}
	added, removed := difference(before.accessors, after.accessors), difference(after.accessors, before.accessors)
	removed = slices.DeleteFunc(removed, func(a Accessor) bool { return a.in(after.accessors) >= 0 })
	var entries []audit.Entry
	for _, e := range []struct {
		event audit.Event
		verb  string
		list  []Accessor
	}{{audit.AccessAdded, "granted to ", added}, {audit.AccessRemoved, "taken from ", removed}} {
		if len(e.list) == 0 {
			continue
		}
		entry := s.entry(who, after, e.event)
		entry.OwnerEmail = ownerEmail(entry, head)
		entry.Changes = map[string]audit.Change{"accessors": {texts(before.accessors), texts(after.accessors)}}
		for _, a := range e.list {
			entry.Summary = append(entry.Summary, e.verb+a.String())
		}
		entries = append(entries, entry)
	}
	trail, err := audit.Record(head, false, entries...)
	if err != nil {
		return err
	}
	return s.Store.Commit(ctx, slices.Concat([]store.Write{row, encodeAccessors(after)}, indexRows(before, after), trail)...)
}

// difference returns the accessors of now that are not, or are otherwise, in before.
func difference(before, now []Accessor) []Accessor {
	return slices.DeleteFunc(slices.Clone(now), func(a Accessor) bool {
		at := a.in(before)
		return at >= 0 && before[at].Role == a.Role && before[at].Expires.Equal(a.Expires)
	})
}

func texts(list []Accessor) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.String()
	}
	return out
}

// resolve finds the grantees. Each that is wrong is a detail of one fault. A grantee of
// another organisation is answered like one that does not exist. A grant that is to be
// removed needs no grantee that exists, if it is named by id.
func (s Service) resolve(ctx context.Context, who identity.Caller, grants []Grant, how Sharing) ([]Accessor, error) {
	rows, err := s.grantees(ctx, who, grants)
	if err != nil {
		return nil, err
	}
	var details []fault.Detail
	var list []Accessor
	for n, g := range grants {
		a := Accessor{Kind: g.Kind, ID: rows[n], Role: g.Role, Expires: g.Expires}
		if a.ID == 0 && how == Remove {
			if a.ID = g.ID; a.ID == 0 {
				continue // no such grantee, so no grant of it either
			}
		}
		switch {
		case a.ID == 0:
			details = append(details, fault.Detail{Pointer: g.Pointer, Code: fault.DetailUnknown, Message: unknownGrantee[g.Kind]})
		case a.in(list) >= 0:
			details = append(details, fault.Detail{Pointer: g.Pointer, Code: fault.DetailConflict, Message: "The list names this grantee twice. Send one grant for each."})
		default:
			list = append(list, a)
		}
	}
	return list, fault.Invalid(details)
}

var unknownGrantee = map[Grantee]string{
	ToUser: "Your organisation has no active user with this id or address. GET /orgs/{id}/members lists its users.",
	ToTeam: "Your organisation has no team with this id or name. GET /teams lists its teams.",
	ToOrg:  "A credential is shared with your own organisation only. Send its id or its e-mail domain.",
	ToKey:  "Your organisation has no service key with this id. GET /service_keys lists your keys.",
}

// grantees returns the id of each grantee, 0 for one that does not exist.
func (s Service) grantees(ctx context.Context, who identity.Caller, grants []Grant) ([]int64, error) {
	ids := make([]int64, len(grants))
	var users, teams []identity.Ref
	var keys []int64
	for n, g := range grants {
		switch g.Kind {
		case ToUser:
			users = append(users, identity.Ref{ID: g.ID, Name: g.Name})
		case ToTeam:
			teams = append(teams, identity.Ref{ID: g.ID, Name: g.Name})
		case ToKey:
			keys = append(keys, g.ID)
		case ToOrg:
			if g.ID == who.Org.ID || g.ID == 0 && who.Org.HasDomain(g.Name) {
				ids[n] = who.Org.ID
			}
		}
	}
	userRows, err := identity.FindUsers(ctx, s.Store, who.Org.ID, users)
	if err != nil {
		return nil, err
	}
	teamRows, err := identity.FindTeams(ctx, s.Store, who.Org.ID, teams)
	if err != nil {
		return nil, err
	}
	existing, err := identity.ExistingKeys(ctx, s.Store, who.Org.ID, keys)
	if err != nil {
		return nil, err
	}
	for n, g := range grants {
		switch g.Kind {
		case ToUser:
			if row := userRows[0]; row.Found() && row.Attributes.Bool("active") {
				u, err := identity.DecodeUser(row)
				if err != nil {
					return nil, err
				}
				ids[n] = u.ID
			}
			userRows = userRows[1:]
		case ToTeam:
			if row := teamRows[0]; row.Found() {
				t, err := identity.DecodeTeam(row)
				if err != nil {
					return nil, err
				}
				ids[n] = t.ID
			}
			teamRows = teamRows[1:]
		case ToKey:
			if slices.Contains(existing, g.ID) {
				ids[n] = g.ID
			}
		}
	}
	return ids, nil
}

// Service ends the grants of teams that are deleted.
var _ identity.Grants = Service{}

// TeamGrants implements identity.Grants.
func (s Service) TeamGrants(ctx context.Context, org, team int64, limit int) (int, error) {
	page, err := s.Store.Range(ctx, teamGrants(org, team, limit))
	return len(page.Items), err
}

func teamGrants(org, team int64, limit int) store.Range {
	r := store.Under(store.Meta, identity.TeamPartition(org, team), rowPrefix)
	r.Limit = limit
	return r
}

// endedAtOnce is the number of grants that one call of EndTeamGrants ends.
const endedAtOnce = 10

// EndTeamGrants implements identity.Grants. It requires no role on the credentials: the
// caller may delete the team.
func (s Service) EndTeamGrants(ctx context.Context, who identity.Caller, team int64) error {
	page, err := s.Store.Range(ctx, teamGrants(who.Org.ID, team, endedAtOnce))
	if err != nil {
		return err
	}
	for _, row := range page.Items {
		id, ok := rowID(row.Key.Sort)
		if !ok {
			return fmt.Errorf("ending the grants of a team: a key is malformed")
		}
		if err := s.endGrant(ctx, who, id, Accessor{Kind: ToTeam, ID: team}, row.Key); err != nil {
			return err
		}
	}
	return nil
}

// endGrant removes one accessor. An index row that no accessor belongs to is removed.
func (s Service) endGrant(ctx context.Context, who identity.Caller, id int64, of Accessor, row store.Key) error {
	var l ForChange
	l.Of(id)
	if err := s.reload(ctx, who, &l); err != nil {
		return err
	}
	return s.changing(ctx, who, &l, func() error {
		if l.err != nil {
			return l.err
		}
		at := of.in(l.c.accessors)
		if !l.found || at < 0 {
			return s.Store.Commit(ctx, remove(row, store.Always()))
		}
		after := l.c
		after.accessors = slices.Delete(slices.Clone(l.c.accessors), at, at+1)
		return s.commitShare(ctx, who, l.c, after, l.head)
	})
}
