package people

import (
	"context"

	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/identity"
)

func (a API) orgs(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	q := r.Query()
	q.Bool("expand")
	paging := q.Paging()
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.SortedList(r, paging, []ownOrg{ownOrgOf(r.Caller)}, true, func(o ownOrg) httpapi.Mark { return httpapi.Mark{ID: o.ID} })
}

func (a API) org(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	err := own(r)
	if err == nil {
		err = expanded(r)
	}
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: ownOrgOf(r.Caller)}, nil
}

func (a API) orgMembers(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	q := r.Query()
	paging := q.Paging()
	err := own(r)
	if err == nil {
		err = q.Err()
	}
	if err != nil {
		return httpapi.Answer{}, err
	}
	users, err := a.Identity.Members(ctx, r.Caller)
	if err != nil {
		return httpapi.Answer{}, err
	}
	rows := make([]orgMember, len(users))
	for n, u := range users {
		rows[n] = orgMemberOf(u)
	}
	return httpapi.SortedList(r, paging, rows, true, func(m orgMember) httpapi.Mark { return httpapi.Mark{ID: m.ID} })
}

// own returns the error for an organisation that is not the caller's.
func own(r *httpapi.Request) error {
	n, err := r.ID("id")
	if err == nil && n != r.Caller.Org.ID {
		err = fault.New(fault.CodeNotFound, "There is no such organisation.").On(identity.OrgResource, n)
	}
	return err
}

// ownOrg is the caller's organisation as the routes of organisations show it.
type ownOrg struct {
	Org
	AccessRoles []string          `json:"access_roles"` // the caller's
	Status      string            `json:"status"`
	CreatedAt   httpapi.Timestamp `json:"created_at"`
}

func ownOrgOf(who identity.Caller) ownOrg {
	return ownOrg{OrgOf(who.Org), []string{RoleOf(who.User)}, active, httpapi.Timestamp(who.Org.CreatedAt)}
}

// orgMember is a user as the organisation lists one.
type orgMember struct {
	ID         int64    `json:"id"`
	FullName   string   `json:"full_name"`
	Email      string   `json:"email"`
	Admin      bool     `json:"is_admin"`
	Roles      []string `json:"access_role"` // a list under this name in the published API
	Status     string   `json:"org_membership_status"`
	UserStatus string   `json:"user_status"`
}

func orgMemberOf(u identity.User) orgMember {
	return orgMember{u.ID, u.FullName, u.Email, u.Admin, []string{RoleOf(u)}, StatusOf(u), StatusOf(u)}
}
