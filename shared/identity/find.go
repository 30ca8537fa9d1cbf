package identity

import (
	"context"
	"fmt"

	"credence/shared/fault"
	"credence/shared/store"
)

// Orgs lists every organisation, oldest first. It is for the operator: no
// request of a signed-in caller leads here.
func (s *Service) Orgs(ctx context.Context) ([]Org, error) {
	page, err := s.store.Range(ctx, store.Under(store.Meta, SystemKey(0).Partition, "ORG#"))
	if err != nil {
		return nil, fmt.Errorf("listing organisations: %w", err)
	}
	orgs := make([]Org, 0, len(page.Items))
	for _, row := range page.Items {
		items, err := s.store.Get(ctx, OrgKey(row.Attributes.Int("org")))
		if err != nil {
			return nil, fmt.Errorf("listing organisations: %w", err)
		}
		if !items[0].Found() {
			continue
		}
		o, err := DecodeOrg(items[0])
		if err != nil {
			return nil, err
		}
		orgs = append(orgs, o)
	}
	return orgs, nil
}

// UserByMail finds a user of an organisation by address, without regard to
// case. The fault for none is CodeNotFound.
func (s *Service) UserByMail(ctx context.Context, org int64, address string) (User, error) {
	none := fault.New(fault.CodeNotFound, "The organisation has no user with this address.")
	items, err := s.store.Get(ctx, MailKey(org, address))
	if err != nil {
		return User{}, fmt.Errorf("finding a user: %w", err)
	}
	if !items[0].Found() {
		return User{}, none
	}
	items, err = s.store.Get(ctx, UserKey(org, items[0].Attributes.Int("user")))
	if err != nil {
		return User{}, fmt.Errorf("finding a user: %w", err)
	}
	if !items[0].Found() {
		return User{}, none
	}
	return DecodeUser(items[0])
}
