package resource

import (
	"context"
	"errors"
	"slices"

	"credence/shared/access"
	"credence/shared/identity"
	"credence/shared/store"
)

// Filter narrows a list; zero fields do not.
type Filter struct {
	All        bool    // also those of others, for an admin of the organisation
	None       bool    // nothing matches
	IDs        []int64 // one of these
	Type       string
	Status     Status
	Credential int64
}

func (f Filter) matches(r Resource) bool {
	return !f.None && (f.IDs == nil || slices.Contains(f.IDs, r.ID)) && (f.Type == "" || f.Type == r.Type) &&
		(f.Status == "" || f.Status == r.Status) && (f.Credential == 0 || f.Credential == r.Credential)
}

// List returns the resources of one kind that the caller owns, or for an admin with
// Filter.All those of the organisation, in the order of their ids. It reads the rows
// of all of them; Complete reads what else a page shows.
func (s Service) List(ctx context.Context, who identity.Caller, k Kind, f Filter) ([]Resource, error) {
	var items []store.Item
	if f.All && who.User.Admin {
		page, err := s.store().Range(ctx, store.Under(store.Meta, identity.OrgPartition(who.Org.ID), kinds[k].prefix))
		if err != nil {
			return nil, err
		}
		items = page.Items
	} else {
		ids, err := s.owned(ctx, who.Org.ID, k, who.User.ID)
		if err != nil {
			return nil, err
		}
		keys := make([]store.Key, len(ids))
		for i, id := range ids {
			keys[i] = rowKey(k, who.Org.ID, id)
		}
		if items, err = store.GetAll(ctx, s.store(), keys); err != nil {
			return nil, err
		}
	}
	list := make([]Resource, 0, len(items))
	for _, item := range items {
		r, found, err := decode(k, who.Org.ID, item)
		if err != nil {
			return nil, err
		}
		if found && role(who, r) != access.None && f.matches(r) {
			list = append(list, r)
		}
	}
	return list, nil
}

// owned reads the ids of a user's resources of one kind from that user's list.
func (s Service) owned(ctx context.Context, org int64, k Kind, user int64) ([]int64, error) {
	page, err := s.store().Range(ctx, store.Under(store.Meta, identity.UserPartition(org, user), kinds[k].prefix))
	if err != nil {
		return nil, err
	}
	ids := make([]int64, 0, len(page.Items))
	for _, item := range page.Items {
		id, ok := store.Numbered(item.Key.Sort, kinds[k].prefix)
		if !ok {
			return nil, errors.New("reading a list of resources: a key is malformed")
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Complete reads the owners of a page of a List and their credentials.
func (s Service) Complete(ctx context.Context, who identity.Caller, page []Resource) ([]View, error) {
	return s.views(ctx, who, page)
}

func (s Service) views(ctx context.Context, who identity.Caller, page []Resource) ([]View, error) {
	var ids, owners []int64
	for _, r := range page {
		owners = append(owners, r.Owner)
		if r.Credential != 0 {
			ids = append(ids, r.Credential)
		}
	}
	unique := func(list []int64) []int64 { slices.Sort(list); return slices.Compact(list) }
	used, err := s.Credentials.Seen(ctx, who, unique(ids))
	if err != nil {
		return nil, err
	}
	people, err := s.people(ctx, who, unique(owners))
	if err != nil {
		return nil, err
	}
	views := make([]View, len(page))
	for i, r := range page {
		views[i] = View{Resource: r, Role: role(who, r), Owner: people[r.Owner], Org: who.Org}
		if c, seen := used[r.Credential]; seen {
			views[i].Used = &c
		}
	}
	return views, nil
}

// people reads the owners of resources. One whose row is not there has only an id.
func (s Service) people(ctx context.Context, who identity.Caller, owners []int64) (map[int64]identity.User, error) {
	people := map[int64]identity.User{who.User.ID: who.User}
	var keys []store.Key
	for _, id := range owners {
		if id != who.User.ID {
			people[id] = identity.User{ID: id, OrgID: who.Org.ID}
			keys = append(keys, identity.UserKey(who.Org.ID, id))
		}
	}
	items, err := store.GetAll(ctx, s.store(), keys)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if !item.Found() {
			continue
		}
		u, err := identity.DecodeUser(item)
		if err != nil {
			return nil, err
		}
		people[u.ID] = u
	}
	return people, nil
}
