package credential

import (
	"cmp"
	"context"
	"slices"

	"credence/shared/access"
	"credence/shared/identity"
	"credence/shared/store"
)

// The ways to a role that are no grants.
const (
	AsOwner    Grantee = "OWNER"
	AsOrgAdmin Grantee = "ORG_ADMIN"
)

// Access is what one user may do with a credential, and why.
type Access struct {
	User identity.User
	Role access.Role // the highest of Ways
	Ways []Shown     // in descending order of role
}

// Access lists the active users who hold a role on a credential, and the service keys
// that may reveal it. It requires the right to share it, so the owner or an admin.
func (s Service) Access(ctx context.Context, who identity.Caller, l *ForRead) ([]Access, []Shown, error) {
	c, _, err := s.open(ctx, who, l, access.Share)
	if err != nil {
		return nil, nil, err
	}
	page, err := s.Store.Range(ctx, identity.UsersOf(who.Org.ID))
	if err != nil {
		return nil, nil, err
	}
	grants, err := s.shown(ctx, who.Org, c.accessors)
	if err != nil {
		return nil, nil, err
	}
	now := s.now()
	grants = slices.DeleteFunc(grants, func(g Shown) bool { return g.expired(now) })
	var list []Access
	for _, row := range page.Items {
		a, err := explain(c, row, who.Org, grants)
		if err != nil {
			return nil, nil, err
		}
		if a.Role != access.None && a.User.Active {
			list = append(list, a)
		}
	}
	keys := slices.DeleteFunc(slices.Clone(grants), func(g Shown) bool { return g.Kind != ToKey })
	return list, keys, nil
}

// explain finds the ways in which one user holds a role.
func explain(c Credential, row store.Item, org identity.Org, grants []Shown) (Access, error) {
	u, err := identity.DecodeUser(row)
	if err != nil {
		return Access{}, err
	}
	a := Access{User: u}
	if u.ID == c.Owner {
		a.Ways = append(a.Ways, Shown{Accessor: Accessor{Kind: AsOwner, ID: u.ID, Role: access.Owner}, Name: u.Email})
	}
	if u.Admin {
		a.Ways = append(a.Ways, Shown{Accessor: Accessor{Kind: AsOrgAdmin, ID: org.ID, Role: access.Admin}, Name: org.EmailDomain})
	}
	as := identity.Caller{Org: org, User: u, Teams: u.Teams}
	for _, g := range grants {
		if g.reaches(as) {
			a.Ways = append(a.Ways, g)
		}
	}
	slices.SortStableFunc(a.Ways, func(x, y Shown) int { return cmp.Compare(y.Role, x.Role) })
	if len(a.Ways) > 0 {
		a.Role = a.Ways[0].Role
	}
	return a, nil
}
