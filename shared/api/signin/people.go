package signin

import (
	"context"
	"slices"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/identity"
)

// People serves the users of an organisation and the organisation itself:
// /users, but for /users/current, and /orgs.
type People struct{ Identity *identity.Service }

// Routes lists the endpoints.
func (p People) Routes() []httpapi.Route {
	return []httpapi.Route{
		{Pattern: "GET /users", Needs: access.Read, Heavy: true, Query: httpapi.ListQuery, Handle: p.users},
		{Pattern: "GET /users/{id}", Needs: access.Read, Resource: identity.UserResource, Handle: p.user},
		{Pattern: "PUT /users/{id}", Needs: access.ManageKeys, Resource: identity.UserResource, Handle: p.update},
		{Pattern: "GET /orgs", Needs: access.Read, Query: httpapi.PageQuery, Handle: p.orgs},
		{Pattern: "GET /orgs/{id}", Needs: access.Read, Resource: identity.OrgResource, Handle: p.org},
		{Pattern: "GET /orgs/{id}/members", Needs: access.Read, Heavy: true, Resource: identity.OrgResource, Query: httpapi.PageQuery, Handle: p.members},
	}
}

func (p People) users(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	q := r.Query()
	paging, sorting := q.Paging(), q.Sorting()
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	users, err := p.Identity.Users(ctx, r.Caller)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.SortedList(r, paging, each(users, personOf(r.Caller.Org)), sorting.Ascending, func(u person) httpapi.Mark {
		return mark(sorting.By, u.ID, u.FullName, u.CreatedAt, u.UpdatedAt)
	})
}

func (p People) user(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	n, err := r.ID("id")
	if err != nil {
		return httpapi.Answer{}, err
	}
	u, err := p.Identity.GetUser(ctx, r.Caller, n)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: personOf(r.Caller.Org)(u)}, nil
}

func (p People) update(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	n, err := r.ID("id")
	if err != nil {
		return httpapi.Answer{}, err
	}
	draft, err := readUser(r)
	if err != nil {
		return httpapi.Answer{}, err
	}
	u, err := p.Identity.UpdateUser(ctx, r.Caller, n, draft)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: personOf(r.Caller.Org)(u)}, nil
}

// readUser reads the fields of a user that may change. The others of a user that
// was read before are ignored.
func readUser(r *httpapi.Request) (identity.UserDraft, error) {
	o, err := r.BodyOf(httpapi.Names{
		Known:   []string{"full_name", "status", "is_admin"},
		Ignored: slices.Concat(httpapi.FieldsOf(user{}), []string{"access_role", "org_id"}),
	})
	if err != nil {
		return identity.UserDraft{}, err
	}
	var d identity.UserDraft
	if name, state := o.Text("full_name", httpapi.TextRule{Required: o.Has("full_name")}); state == httpapi.Present {
		d.FullName = &name
	}
	if status, state := o.Text("status", httpapi.TextRule{OneOf: []string{"ACTIVE", "DEACTIVATED"}}); state == httpapi.Present {
		active := status == "ACTIVE"
		d.Active = &active
	}
	if admin, state := o.Bool("is_admin"); state == httpapi.Present {
		d.Admin = &admin
	}
	return d, o.Err()
}

func (p People) orgs(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	paging, err := pagingOf(r)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.SortedList(r, paging, []org{orgOf(r.Caller.Org)}, true, func(o org) httpapi.Mark { return httpapi.Mark{ID: o.ID} })
}

func (p People) org(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	if err := ownOrg(r); err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: orgOf(r.Caller.Org)}, nil
}

func (p People) members(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	if err := ownOrg(r); err != nil {
		return httpapi.Answer{}, err
	}
	paging, err := pagingOf(r)
	if err != nil {
		return httpapi.Answer{}, err
	}
	users, err := p.Identity.Members(ctx, r.Caller)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.SortedList(r, paging, each(users, memberOf), true, func(m member) httpapi.Mark { return httpapi.Mark{ID: m.ID} })
}

func pagingOf(r *httpapi.Request) (*httpapi.Paging, error) {
	q := r.Query()
	return q.Paging(), q.Err()
}

// ownOrg returns the error for an organisation that is not the caller's.
func ownOrg(r *httpapi.Request) error {
	n, err := r.ID("id")
	if err == nil && n != r.Caller.Org.ID {
		err = fault.New(fault.CodeNotFound, "There is no such organisation.").On(identity.OrgResource, n)
	}
	return err
}

// person is a user as the routes of users show one.
type person struct {
	user
	Admin bool `json:"is_admin"`
}

func personOf(o identity.Org) func(identity.User) person {
	return func(u identity.User) person { return person{userOf(o, u), u.Admin} }
}

// member is a user as the organisation lists one.
type member struct {
	ID       int64  `json:"id"`
	FullName string `json:"full_name"`
	Email    string `json:"email"`
	Admin    bool   `json:"is_admin"`
	Role     string `json:"access_role"`
	Status   string `json:"org_membership_status"`
}

func memberOf(u identity.User) member {
	return member{u.ID, u.FullName, u.Email, u.Admin, roleOf(u), activeOr(u.Active, "DEACTIVATED")}
}

func each[T, R any](list []T, form func(T) R) []R {
	out := make([]R, 0, len(list))
	for _, v := range list {
		out = append(out, form(v))
	}
	return out
}
