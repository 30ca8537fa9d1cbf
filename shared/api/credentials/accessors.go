package credentials

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"credence/shared/access"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/id"
)

// accessor is the wire form of a grant.
type accessor struct {
	Type    credential.Grantee `json:"type"`
	ID      int64              `json:"id"`
	Email   *string            `json:"email,omitzero"`
	Name    *string            `json:"name,omitzero"`
	Domain  *string            `json:"email_domain,omitzero"`
	OrgID   int64              `json:"accessor_org_id"`
	Roles   []string           `json:"access_roles"`
	Expires httpapi.Timestamp  `json:"access_role_expires_at"`
	Created httpapi.Timestamp  `json:"created_at"`
	Updated httpapi.Timestamp  `json:"updated_at"`
}

func accessorsOf(org int64, list []credential.Shown) []accessor {
	out := make([]accessor, 0, len(list))
	for _, a := range list {
		w := accessor{
			Type: a.Kind, ID: a.ID, OrgID: org, Roles: []string{a.Role.String()},
			Expires: httpapi.Timestamp(a.Expires), Created: httpapi.Timestamp(a.CreatedAt), Updated: httpapi.Timestamp(a.UpdatedAt),
		}
		name := a.Name
		switch a.Kind {
		case credential.ToUser:
			w.Email = &name
		case credential.ToTeam:
			w.Name = &name
		case credential.ToOrg:
			w.Domain = &name
		case credential.ToKey:
			w.Roles = []string{access.Reveal.String()}
		}
		out = append(out, w)
	}
	return out
}

func (a Reading) accessors(ctx context.Context, r *httpapi.Request, l *credential.ForRead) (httpapi.Answer, error) {
	list, err := a.Service.Accessors(ctx, r.Caller, l)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: accessorsOf(r.Caller.Org.ID, list)}, nil
}

// share makes the handlers that change the accessors; each answers all of them. A
// DELETE without a body removes all.
func (a Editing) share(how credential.Sharing) changing {
	return func(ctx context.Context, r *httpapi.Request, l *credential.ForChange) (httpapi.Answer, error) {
		change, grants := how, []credential.Grant(nil)
		if how == credential.Remove && !r.HasBody() {
			change = credential.Clear
		} else {
			var err error
			if grants, err = a.sentGrants(r, how); err != nil {
				return httpapi.Answer{}, err
			}
		}
		list, err := a.Editor.Share(ctx, r.Caller, l, change, grants)
		if err != nil {
			return httpapi.Answer{}, err
		}
		return httpapi.Answer{Body: accessorsOf(r.Caller.Org.ID, list)}, nil
	}
}

// accessorNames are the members of an accessor in a body.
var accessorNames = httpapi.Names{
	Known: []string{"type", "id", "email", "name", "email_domain", "access_roles", "access_role", "access_role_expires_at"},
	// What an answer has besides, and what the published API has for sharing across organisations.
	Ignored: []string{"accessor_org_id", "org_id", "client_identifier", "created_at", "updated_at"},
	Also:    map[string]string{"role": "access_role", "roles": "access_roles", "user": "email", "team": "name", "domain": "email_domain", "expires_at": "access_role_expires_at"},
}

func (a Editing) sentGrants(r *httpapi.Request, how credential.Sharing) ([]credential.Grant, error) {
	o, err := r.BodyList("accessors")
	if err != nil {
		return nil, err
	}
	list, state := o.Objects("accessors", credential.MaxAccessors)
	if state != httpapi.Present && o.Err() == nil {
		o.Fault("accessors", fault.DetailRequired, "Send the accessors as a list of objects.")
	}
	var grants []credential.Grant
	for _, one := range list {
		one.Only(accessorNames)
		g := credential.Grant{Pointer: one.Pointer("")}
		g.Pointer = g.Pointer[:len(g.Pointer)-1]
		grantee(one, &g)
		if how != credential.Remove {
			granted(one, &g)
			if g.Expires, _ = one.Time("access_role_expires_at"); !g.Expires.IsZero() && !g.Expires.After(a.Editor.Now()) {
				one.Fault("access_role_expires_at", fault.DetailOutOfRange, "The time is in the past. Send a later one, or leave it out.")
			}
			g.Expires = g.Expires.UTC().Truncate(time.Millisecond)
		}
		grants = append(grants, g)
	}
	return grants, o.Err()
}

// grantees are the kinds, in any case, with the member that names one without an id.
var grantees = map[credential.Grantee]string{
	credential.ToUser: "email", credential.ToTeam: "name", credential.ToOrg: "email_domain", credential.ToKey: "",
}

// grantee reads who is granted: a kind, and an id or a name of that kind.
func grantee(o *httpapi.Object, g *credential.Grant) {
	kind, state := o.Text("type", httpapi.TextRule{Required: true, Max: 32})
	if state != httpapi.Present {
		return
	}
	g.Kind = credential.Grantee(strings.ToUpper(kind))
	name, known := grantees[g.Kind]
	if !known {
		o.Fault("type", fault.DetailUnknown, `The field "type" must be one of: USER, TEAM, ORG, SERVICE_KEY.`)
		return
	}
	g.ID, _ = o.Int("id", 1, id.Max)
	for _, other := range []string{"email", "name", "email_domain"} { // those of other kinds have no effect
		if v, _ := o.Text(other, httpapi.TextRule{}); other == name && g.ID == 0 {
			g.Name = v
		}
	}
	switch {
	case g.ID != 0 || g.Name != "" || o.Has("id"):
	case name == "":
		o.Fault("id", fault.DetailRequired, "Send the id of the service key.")
	default:
		o.Fault("id", fault.DetailRequired, fmt.Sprintf("Send the id, or %q.", name))
	}
}

// granted reads the role, under either of its names. Of several roles the highest
// counts, since higher roles include lower ones.
func granted(o *httpapi.Object, g *credential.Grant) {
	rule := httpapi.TextRule{OneOf: []string{"collaborator", "operator", "admin", "administrator"}}
	if g.Kind == credential.ToKey {
		rule.OneOf = []string{access.Reveal.String()}
	}
	roles, state := o.Texts("access_roles", 4, rule)
	one, sent := o.Text("access_role", rule)
	if sent == httpapi.Present {
		roles = append(roles, one)
	}
	if len(roles) == 0 && sent == httpapi.Absent && (state == httpapi.Absent && !o.Has("access_roles") || state == httpapi.Present) {
		o.Fault("access_roles", fault.DetailRequired, "Send the role: collaborator, operator or admin; for a service key, reveal.")
	}
	for _, name := range roles {
		held, _ := access.ParseRole(name)
		g.Role = max(g.Role, held)
	}
	if slices.Contains(roles, access.Reveal.String()) {
		g.Role = access.None
	}
}
