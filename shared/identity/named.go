package identity

import (
	"context"
	"strings"

	"credence/shared/store"
)

// Ref names a user or a team of an organisation in a request: by its id, or, if
// that is 0, by the user's address or the team's name.
type Ref struct {
	ID   int64
	Name string
}

// FindUsers reads the rows of users, one for each of refs and in their order; the
// zero Item where the organisation has no such user.
func FindUsers(ctx context.Context, s store.Store, org int64, refs []Ref) ([]store.Item, error) {
	return find(ctx, s, refs, directory{
		"user", func(name string) store.Key { return MailKey(org, name) },
		func(id int64) store.Key { return UserKey(org, id) },
	})
}

// FindTeams is FindUsers for teams.
func FindTeams(ctx context.Context, s store.Store, org int64, refs []Ref) ([]store.Item, error) {
	return find(ctx, s, refs, directory{
		"team", func(name string) store.Key { return TeamNameKey(org, name) },
		func(id int64) store.Key { return TeamKey(org, id) },
	})
}

// UsersOf asks for the rows of all users of an organisation.
func UsersOf(org int64) store.Range { return store.Under(store.Meta, OrgPartition(org), userPrefix) }

// TeamsOf asks for the rows of all teams of an organisation.
func TeamsOf(org int64) store.Range { return store.Under(store.Meta, OrgPartition(org), teamPrefix) }

// ExistingKeys returns those of the ids that are service keys of the organisation. It
// reads one row for each user and id.
func ExistingKeys(ctx context.Context, s store.Store, org int64, ids []int64) ([]int64, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	page, err := s.Range(ctx, UsersOf(org))
	if err != nil {
		return nil, err
	}
	var keys []store.Key
	for _, item := range page.Items {
		user, ok := store.Numbered(item.Key.Sort, userPrefix)
		for _, id := range ids {
			if ok && id > 0 {
				keys = append(keys, ServiceKeyKey(org, user, id))
			}
		}
	}
	rows, err := store.GetAll(ctx, s, keys)
	if err != nil {
		return nil, err
	}
	var existing []int64
	for _, row := range rows {
		if id, ok := store.Numbered(row.Key.Sort, keyPrefix); row.Found() && ok {
			existing = append(existing, id)
		}
	}
	return existing, nil
}

// HasDomain reports whether the organisation has this e-mail domain.
func (o Org) HasDomain(domain string) bool {
	return domain != "" && strings.EqualFold(o.EmailDomain, domain)
}

// directory is where the rows of users or teams are.
type directory struct {
	attribute string // of a name's row: the id
	byName    func(name string) store.Key
	byID      func(id int64) store.Key
}

func find(ctx context.Context, s store.Store, refs []Ref, d directory) ([]store.Item, error) {
	ids := make([]int64, len(refs))
	var names []store.Key
	var named []int
	for n, r := range refs {
		if ids[n] = r.ID; r.ID == 0 {
			names, named = append(names, d.byName(r.Name)), append(named, n)
		}
	}
	rows, err := store.GetAll(ctx, s, names)
	if err != nil {
		return nil, err
	}
	for n, row := range rows {
		ids[named[n]] = row.Attributes.Int(d.attribute) // 0, which names nothing, where there is no row
	}
	keys := make([]store.Key, len(ids))
	for n, id := range ids {
		keys[n] = d.byID(id)
	}
	return store.GetAll(ctx, s, keys)
}
