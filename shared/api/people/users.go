package people

import (
	"context"
	"slices"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/id"
	"credence/shared/identity"
	"credence/shared/resource"
)

// API serves the family.
type API struct {
	Identity *identity.Service
	Grants   identity.Grants  // ends what a deleted team was granted
	Owned    resource.Service // what users own, for its transfer
}

// Parameters that released clients send and that have no meaning here.
var (
	expand     = []string{"expand"}
	unfiltered = append([]string{"access_role"}, expand...)
)

// Routes lists the endpoints.
func (a API) Routes() []httpapi.Route {
	list, pages := slices.Concat(unfiltered, httpapi.ListQuery), slices.Concat(unfiltered, httpapi.PageQuery)
	user, org := identity.UserResource, identity.OrgResource
	return append(a.teamRoutes(),
		httpapi.Route{Pattern: "GET /users", Needs: access.Read, Heavy: true, Query: list, Handle: a.users},
		httpapi.Route{Pattern: "POST /users", Needs: access.ManageKeys, Handle: a.invite},
		httpapi.Route{Pattern: "GET /users/{id}", Needs: access.Read, Resource: user, Query: expand, Handle: a.user},
		httpapi.Route{Pattern: "PUT /users/{id}", Needs: access.ManageKeys, Resource: user, Handle: a.updateUser},
		httpapi.Route{Pattern: "PUT /users/{id}/transfer", Needs: access.Transfer, Resource: user, Handle: a.transfer},
		httpapi.Route{Pattern: "POST /users/{id}/transfer", Needs: access.Transfer, Resource: user, Handle: a.transfer},
		httpapi.Route{Pattern: "GET /user_settings", Needs: access.Read, Query: pages, Handle: a.settings},
		httpapi.Route{Pattern: "GET /orgs", Needs: access.Read, Query: pages, Handle: a.orgs},
		httpapi.Route{Pattern: "GET /orgs/{id}", Needs: access.Read, Resource: org, Query: expand, Handle: a.org},
		httpapi.Route{Pattern: "GET /orgs/{id}/members", Needs: access.Read, Heavy: true, Resource: org, Query: httpapi.PageQuery, Handle: a.orgMembers},
	)
}

// settings answers that there are none: released clients ask.
func (a API) settings(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	q := r.Query()
	q.Bool("expand")
	paging := q.Paging()
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.SortedList(r, paging, []struct{}{}, true, func(struct{}) httpapi.Mark { return httpapi.Mark{} })
}

// expanded reads the parameter expand, which changes nothing.
func expanded(r *httpapi.Request) error {
	q := r.Query()
	q.Bool("expand")
	return q.Err()
}

func (a API) users(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	q := r.Query()
	q.Bool("expand")
	paging, sorting := q.Paging(), q.Sorting()
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	users, err := a.Identity.Users(ctx, r.Caller)
	if err != nil {
		return httpapi.Answer{}, err
	}
	rows := make([]person, len(users))
	for n, u := range users {
		rows[n] = personOf(r.Caller.Org, u)
	}
	return httpapi.SortedList(r, paging, rows, sorting.Ascending, func(u person) httpapi.Mark {
		return sorting.Mark(u.ID, u.FullName, u.CreatedAt, u.UpdatedAt)
	})
}

func (a API) user(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	n, err := r.ID("id")
	if err == nil {
		err = expanded(r)
	}
	if err != nil {
		return httpapi.Answer{}, err
	}
	u, err := a.Identity.GetUser(ctx, r.Caller, n)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: personOf(r.Caller.Org, u)}, nil
}

func (a API) invite(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	draft, err := readUser(r, true)
	if err != nil {
		return httpapi.Answer{}, err
	}
	if draft.Idem, err = r.Idempotency(); err != nil {
		return httpapi.Answer{}, err
	}
	u, err := a.Identity.Invite(ctx, r.Caller, draft)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: personOf(r.Caller.Org, u)}, nil
}

func (a API) updateUser(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	n, err := r.ID("id")
	if err != nil {
		return httpapi.Answer{}, err
	}
	draft, err := readUser(r, false)
	if err != nil {
		return httpapi.Answer{}, err
	}
	u, err := a.Identity.UpdateUser(ctx, r.Caller, n, draft)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: personOf(r.Caller.Org, u)}, nil
}

// readUser reads the fields of a user. The other fields of a user that was read
// before are ignored, and so are the tiers of the published API. Released clients
// use the names "name" and "admin" too.
func readUser(r *httpapi.Request, create bool) (identity.UserDraft, error) {
	o, err := r.BodyOf(httpapi.Names{
		Known:   []string{"email", "full_name", "status", "is_admin", "name", "admin", "org_id", "default_org_id"},
		Ignored: slices.Concat(httpapi.FieldsOf(User{}), []string{"access_role", "user_tier_id"}),
	})
	if err != nil {
		return identity.UserDraft{}, err
	}
	var d identity.UserDraft
	if email, state := o.Text("email", httpapi.TextRule{Required: create || o.Has("email")}); state == httpapi.Present {
		d.Email = &email
	}
	for _, name := range []string{"name", "full_name"} { // the second one counts
		if text, state := o.Text(name, httpapi.TextRule{Required: o.Has(name)}); state == httpapi.Present {
			d.FullName = &text
		}
	}
	if status, state := o.Text("status", httpapi.TextRule{OneOf: []string{active, deactivated}}); state == httpapi.Present {
		on := status == active
		d.Active = &on
	}
	for _, name := range []string{"admin", "is_admin"} {
		if admin, state := o.Bool(name); state == httpapi.Present {
			d.Admin = &admin
		}
	}
	for _, field := range []string{"org_id", "default_org_id"} {
		if org, state := o.Int(field, 1, id.Max); state == httpapi.Present && org != r.Caller.Org.ID {
			o.Fault(field, fault.DetailForbidden, "A user belongs to your organisation alone. Leave the field out.")
		}
	}
	return d, o.Err()
}

// person is a user as the routes of users show one.
type person struct {
	User
	Admin bool `json:"is_admin"`
}

func personOf(o identity.Org, u identity.User) person { return person{UserOf(o, u), u.Admin} }
