// Package admin is what an operator does and no signed-in caller may: make
// organisations, users and keys, and move data keys to another KMS key. It has
// no routes; whoever can reach it was admitted by IAM, or by the mode of a
// socket.
package admin

import (
	"context"
	"fmt"
	"strings"

	"credence/shared/fault"
	"credence/shared/identity"
)

// The actions of a Command.
const (
	AddOrg  = "org add"
	AddUser = "user add"
	AddKey  = "key add"
)

// Command is one thing to do. Fields that the action does not use are ignored.
type Command struct {
	Action string `json:"action"`
	Org    int64  `json:"org,omitzero"`       // AddUser, AddKey; 0 = the only one there is
	Name   string `json:"name,omitzero"`      // of the organisation, or of the key
	Domain string `json:"domain,omitzero"`    // of the organisation's addresses
	Email  string `json:"email,omitzero"`     // of the user
	Full   string `json:"full_name,omitzero"` // of the user
	Admin  bool   `json:"admin,omitzero"`     // whether the user administers the organisation
}

// Reply says what was made. ServiceKey is shown this once.
type Reply struct {
	OrgID      int64  `json:"org_id"`
	OrgName    string `json:"org_name"`
	UserID     int64  `json:"user_id"`
	Email      string `json:"email"`
	ServiceKey string `json:"service_key"`
}

// API does commands.
type API struct{ Identity *identity.Service }

// Do carries out one command. Every action ends with a new service key. The
// user of a new organisation is its admin. Doing it again makes another, or
// answers the fault that says what is there already.
func (a API) Do(ctx context.Context, c Command) (Reply, error) {
	switch c.Action {
	case AddOrg:
		return a.addOrg(ctx, c)
	case AddUser:
		return a.addUser(ctx, c)
	case AddKey:
		return a.addKey(ctx, c)
	}
	return Reply{}, fault.New(fault.CodeInvalidRequest, "The action must be org add, user add or key add.")
}

func (a API) addOrg(ctx context.Context, c Command) (Reply, error) {
	c.Name = strings.TrimSpace(c.Name)
	if c.Name == "" || len(c.Name) > 255 {
		return Reply{}, fault.New(fault.CodeInvalidRequest, "Give the organisation a name of at most 255 characters.")
	}
	if c.Domain == "" {
		c.Domain = "example.com"
		if _, domain, ok := strings.Cut(c.Email, "@"); ok {
			c.Domain = domain
		}
	}
	if c.Email == "" {
		c.Email = "admin@" + c.Domain
	}
	if err := identity.CheckAddress(c.Email); err != nil {
		return Reply{}, err // before the organisation is made, not after
	}
	org, err := a.Identity.CreateOrg(ctx, c.Name, c.Domain)
	if err != nil {
		return Reply{}, err
	}
	c.Admin = true
	return a.newUser(ctx, org, c)
}

func (a API) addUser(ctx context.Context, c Command) (Reply, error) {
	org, err := a.org(ctx, c.Org)
	if err != nil {
		return Reply{}, err
	}
	return a.newUser(ctx, org, c)
}

func (a API) newUser(ctx context.Context, org identity.Org, c Command) (Reply, error) {
	if c.Full == "" {
		c.Full, _, _ = strings.Cut(c.Email, "@")
	}
	u, err := a.Identity.CreateUser(ctx, org.ID, identity.User{Email: c.Email, FullName: c.Full, Admin: c.Admin})
	if err != nil {
		return Reply{}, err
	}
	return a.newKey(ctx, org, u, "first key")
}

func (a API) addKey(ctx context.Context, c Command) (Reply, error) {
	org, err := a.org(ctx, c.Org)
	if err != nil {
		return Reply{}, err
	}
	u, err := a.Identity.UserByMail(ctx, org.ID, c.Email)
	if err != nil {
		return Reply{}, err
	}
	if c.Name == "" {
		c.Name = "key made by the operator"
	}
	return a.newKey(ctx, org, u, c.Name)
}

func (a API) newKey(ctx context.Context, org identity.Org, u identity.User, name string) (Reply, error) {
	_, text, err := a.Identity.FirstKey(ctx, u, name)
	if err != nil {
		return Reply{}, err
	}
	return Reply{OrgID: org.ID, OrgName: org.Name, UserID: u.ID, Email: u.Email, ServiceKey: text}, nil
}

// org finds the organisation named, or the only one there is.
func (a API) org(ctx context.Context, id int64) (identity.Org, error) {
	orgs, err := a.Identity.Orgs(ctx)
	if err != nil {
		return identity.Org{}, err
	}
	var list []string
	for _, o := range orgs {
		if o.ID == id || id == 0 && len(orgs) == 1 {
			return o, nil
		}
		list = append(list, fmt.Sprintf("%d (%s)", o.ID, o.Name))
	}
	if len(list) == 0 {
		return identity.Org{}, fault.New(fault.CodeNotFound, "There is no organisation yet: make one with org add.")
	}
	return identity.Org{}, fault.New(fault.CodeNotFound, "Name one of the organisations, with --org or as the org of an event: "+strings.Join(list, ", ")+".")
}
