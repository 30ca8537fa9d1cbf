package people

import (
	"context"
	"slices"

	"credence/shared/access"
	"credence/shared/httpapi"
	"credence/shared/id"
	"credence/shared/identity"
)

func (a API) teamRoutes() []httpapi.Route {
	team := func(pattern string, needs access.Permission, handle func(context.Context, *httpapi.Request) (httpapi.Answer, error), query ...string) httpapi.Route {
		return httpapi.Route{Pattern: pattern, Needs: needs, Resource: identity.TeamResource, Query: query, Handle: handle}
	}
	return []httpapi.Route{
		{Pattern: "GET /teams", Needs: access.Read, Heavy: true, Query: slices.Concat(unfiltered, httpapi.ListQuery), Handle: a.teams},
		{Pattern: "POST /teams", Needs: access.Share, Handle: a.createTeam},
		team("GET /teams/{id}", access.Read, a.team, expand...),
		team("PUT /teams/{id}", access.Share, a.updateTeam),
		team("DELETE /teams/{id}", access.Share, a.deleteTeam, "force"),
		team("GET /teams/{id}/members", access.Read, a.members, httpapi.PageQuery...),
		team("PUT /teams/{id}/members", access.Share, a.change(identity.AddMembers)),
		team("POST /teams/{id}/members", access.Share, a.change(identity.ReplaceMembers)),
		team("DELETE /teams/{id}/members", access.Share, a.remove),
	}
}

func (a API) teams(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	q := r.Query()
	q.Bool("expand")
	least, _ := access.ParseRole(q.Enum("access_role", "collaborator", "collaborator", "operator", "admin", "administrator", "owner", "member"))
	paging, sorting := q.Paging(), q.Sorting()
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	all, err := a.Identity.Teams(ctx, r.Caller)
	if err != nil {
		return httpapi.Answer{}, err
	}
	all = slices.DeleteFunc(all, func(t identity.Team) bool { return r.Caller.TeamRole(t) < least })
	page, err := httpapi.Sorted(paging, all, sorting.Ascending, func(t identity.Team) httpapi.Mark {
		return sorting.Mark(t.ID, t.Name, httpapi.Timestamp(t.CreatedAt), httpapi.Timestamp(t.UpdatedAt))
	})
	if err != nil {
		return httpapi.Answer{}, err
	}
	users, err := a.Identity.Named(ctx, r.Caller, page...)
	if err != nil {
		return httpapi.Answer{}, err
	}
	rows := make([]team, len(page))
	for n, t := range page {
		rows[n] = teamOf(r.Caller, t, users)
	}
	return httpapi.List(r, paging, len(all), rows, func(t team) httpapi.Mark {
		return sorting.Mark(t.ID, t.Name, t.CreatedAt, t.UpdatedAt)
	}), nil
}

// answer shows a team that an operation returned.
func (a API) answer(ctx context.Context, r *httpapi.Request, t identity.Team, err error) (httpapi.Answer, error) {
	if err != nil {
		return httpapi.Answer{}, err
	}
	users, err := a.Identity.Named(ctx, r.Caller, t)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: teamOf(r.Caller, t, users)}, nil
}

// changed is answer after a change: it was made, so it is shown, if need be with the
// ids of its members alone.
func (a API) changed(ctx context.Context, r *httpapi.Request, t identity.Team, err error) (httpapi.Answer, error) {
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: teamOf(r.Caller, t, a.named(ctx, r, t))}, nil
}

// named returns the users of a team that was changed; only the caller where the store
// does not answer.
func (a API) named(ctx context.Context, r *httpapi.Request, t identity.Team) map[int64]identity.User {
	users, err := a.Identity.Named(ctx, r.Caller, t)
	if err != nil {
		return map[int64]identity.User{r.Caller.User.ID: r.Caller.User}
	}
	return users
}

func (a API) team(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	n, err := r.ID("id")
	if err == nil {
		err = expanded(r)
	}
	if err != nil {
		return httpapi.Answer{}, err
	}
	t, err := a.Identity.GetTeam(ctx, r.Caller, n)
	return a.answer(ctx, r, t, err)
}

func (a API) createTeam(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	draft, err := readTeam(r, true)
	if err != nil {
		return httpapi.Answer{}, err
	}
	if draft.Idem, err = r.Idempotency(); err != nil {
		return httpapi.Answer{}, err
	}
	t, err := a.Identity.CreateTeam(ctx, r.Caller, draft)
	return a.changed(ctx, r, t, err)
}

func (a API) updateTeam(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	n, err := r.ID("id")
	if err != nil {
		return httpapi.Answer{}, err
	}
	draft, err := readTeam(r, false)
	if err != nil {
		return httpapi.Answer{}, err
	}
	t, err := a.Identity.UpdateTeam(ctx, r.Caller, n, draft)
	return a.changed(ctx, r, t, err)
}

func (a API) deleteTeam(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	n, err := r.ID("id")
	if err != nil {
		return httpapi.Answer{}, err
	}
	q := r.Query()
	force, _ := q.Bool("force")
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	if err := a.Identity.DeleteTeam(ctx, r.Caller, n, force, a.Grants); err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: done{"200", "Ok"}}, nil
}

func (a API) members(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	q := r.Query()
	paging := q.Paging()
	n, err := r.ID("id")
	if err == nil {
		err = q.Err()
	}
	if err != nil {
		return httpapi.Answer{}, err
	}
	t, err := a.Identity.GetTeam(ctx, r.Caller, n)
	if err != nil {
		return httpapi.Answer{}, err
	}
	users, err := a.Identity.Named(ctx, r.Caller, t)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.SortedList(r, paging, membersOf(t, users), true, func(m member) httpapi.Mark { return httpapi.Mark{ID: m.ID} })
}

// change serves what takes a list of members and answers all members.
func (a API) change(change identity.MembersChange) func(context.Context, *httpapi.Request) (httpapi.Answer, error) {
	return func(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
		n, err := r.ID("id")
		if err != nil {
			return httpapi.Answer{}, err
		}
		o, err := r.Body("members")
		if err != nil {
			return httpapi.Answer{}, err
		}
		o.Require("members")
		draft := identity.TeamDraft{Members: readMembers(o, change)}
		if err := o.Err(); err != nil {
			return httpapi.Answer{}, err
		}
		t, err := a.Identity.UpdateTeam(ctx, r.Caller, n, draft)
		return a.membersLeft(ctx, r, t, err)
	}
}

// remove removes the members that the body lists, or all if there is no body.
func (a API) remove(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	if r.HasBody() {
		return a.change(identity.RemoveMembers)(ctx, r)
	}
	n, err := r.ID("id")
	if err != nil {
		return httpapi.Answer{}, err
	}
	t, err := a.Identity.EmptyTeam(ctx, r.Caller, n)
	return a.membersLeft(ctx, r, t, err)
}

func (a API) membersLeft(ctx context.Context, r *httpapi.Request, t identity.Team, err error) (httpapi.Answer, error) {
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: membersOf(t, a.named(ctx, r, t))}, nil
}

// readTeam reads the fields of a team. Those that only the service sets, which a
// client that read the team may send back, are ignored.
func readTeam(r *httpapi.Request, create bool) (identity.TeamDraft, error) {
	o, err := r.BodyOf(httpapi.Names{Known: []string{"name", "description", "members"}, Ignored: httpapi.FieldsOf(team{})})
	if err != nil {
		return identity.TeamDraft{}, err
	}
	var d identity.TeamDraft
	if name, state := o.Text("name", httpapi.TextRule{Required: create || o.Has("name")}); state == httpapi.Present {
		d.Name = &name
	}
	if text, state := o.Text("description", httpapi.TextRule{Lines: true}); state != httpapi.Absent {
		d.Description = &text
	}
	d.Members = readMembers(o, identity.ReplaceMembers)
	return d, o.Err()
}

// readMembers reads a list of members, each by id or by address. It returns nil if
// there is none.
func readMembers(o *httpapi.Object, change identity.MembersChange) *identity.MembersDraft {
	list, state := o.Objects("members", identity.MaxMembersPerTeam)
	if state != httpapi.Present {
		return nil
	}
	d := &identity.MembersDraft{Change: change}
	for _, m := range list {
		m.Only(httpapi.Names{Known: []string{"id", "email", "admin"}})
		var ref identity.Ref
		if _, state := m.Node("id"); state == httpapi.Present {
			ref.ID, _ = m.Int("id", 1, id.Max)
		} else {
			ref.Name, _ = m.Text("email", httpapi.TextRule{Required: true})
		}
		admin, _ := m.Bool("admin")
		d.Named = append(d.Named, identity.MemberDraft{Ref: ref, Admin: admin})
	}
	return d
}

type team struct {
	ID          int64             `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Owner       Owner             `json:"owner"`
	Org         Org               `json:"org"`
	Member      bool              `json:"member"` // whether the caller is one
	Members     []member          `json:"members"`
	AccessRoles []string          `json:"access_roles"` // the caller's
	Tags        []string          `json:"tags"`         // none
	CreatedAt   httpapi.Timestamp `json:"created_at"`
	UpdatedAt   httpapi.Timestamp `json:"updated_at"`
}

type member struct {
	ID    int64  `json:"id"`
	Email string `json:"email"`
	Admin bool   `json:"admin"`
}

func teamOf(who identity.Caller, t identity.Team, users map[int64]identity.User) team {
	_, in := t.Member(who.User.ID)
	owner := users[t.OwnerID]
	return team{
		ID: t.ID, Name: t.Name, Description: t.Description, Owner: Owner{t.OwnerID, owner.FullName, owner.Email}, Org: OrgOf(who.Org),
		Member: in, Members: membersOf(t, users), AccessRoles: []string{who.TeamRole(t).String()}, Tags: []string{},
		CreatedAt: httpapi.Timestamp(t.CreatedAt), UpdatedAt: httpapi.Timestamp(t.UpdatedAt),
	}
}

func membersOf(t identity.Team, users map[int64]identity.User) []member {
	list := make([]member, len(t.Members))
	for n, m := range t.Members {
		list[n] = member{m.User, users[m.User].Email, m.Admin}
	}
	return list
}
