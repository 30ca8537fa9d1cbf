// Package admin implements the operator's commands: organisations, users and
// keys of every organisation, and the move of data keys to another KMS key. It
// has no routes; IAM or the mode of a socket admits its callers.
package admin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/naming"
	"credence/shared/store"
)

// The actions of a Command.
const (
	AddOrg      = "org add"
	ListOrgs    = "org list"
	ShowOrg     = "org show"
	SuspendOrg  = "org suspend"
	ActivateOrg = "org activate"
	SetOrg      = "org set"

	AddUser      = "user add"
	ListUsers    = "user list"
	ShowUser     = "user show"
	SuspendUser  = "user suspend"
	ActivateUser = "user activate"

	AddKey      = "key add"
	ListKeys    = "key list"
	ShowKey     = "key show"
	PauseKey    = "key pause"
	ActivateKey = "key activate"
	RotateKey   = "key rotate"
	DeleteKey   = "key delete"

	Audit = "audit"
)

// Actions lists every action of API.Do, in the order of the documentation.
func Actions() []string {
	return []string{
		AddOrg, ListOrgs, ShowOrg, SuspendOrg, ActivateOrg, SetOrg,
		AddUser, ListUsers, ShowUser, SuspendUser, ActivateUser,
		AddKey, ListKeys, ShowKey, PauseKey, ActivateKey, RotateKey, DeleteKey,
		Audit,
	}
}

// Command is one request of the operator. Fields that the action does not use
// are ignored. Org may be 0 while there is a single organisation. A user is
// named by User or by Email, a key by Key.
type Command struct {
	Action string         `json:"action"`
	Org    int64          `json:"org,omitzero"`
	User   int64          `json:"user,omitzero"`
	Email  string         `json:"email,omitzero"`     // also of the user to add; AddOrg: of its first admin
	Key    int64          `json:"key,omitzero"`       // ShowKey … DeleteKey
	Name   string         `json:"name,omitzero"`      // of the organisation or the key to add
	Domain string         `json:"domain,omitzero"`    // AddOrg: of its e-mail addresses
	Full   string         `json:"full_name,omitzero"` // AddUser
	Admin  bool           `json:"admin,omitzero"`     // AddUser: whether the user administers the organisation
	Scopes []access.Scope `json:"scopes,omitzero"`    // AddKey; none = all but reveal, which has to be named

	ExpiresIn int `json:"expires_in_days,omitzero"` // ListKeys: only keys that have expired or do so within so many days; 0 = all

	Another bool `json:"another,omitzero"` // AddOrg: although one of that name exists

	AuditDays int      `json:"audit_days,omitzero"` // SetOrg: how long audit entries that are no changes are kept
	From      string   `json:"from,omitzero"`       // Audit: the first day, YYYY-MM-DD
	To        string   `json:"to,omitzero"`         // Audit: the last day
	Events    []string `json:"events,omitzero"`     // Audit: only these; one with "!" before it is left out
	After     int64    `json:"after,omitzero"`      // Audit: the next of the reply before
	Limit     int      `json:"limit,omitzero"`      // Audit, Rewrap, Check: at most so many; 0 = 100, 200 …
}

// API executes commands.
type API struct {
	Identity *identity.Service
	Store    store.Store // of Audit
}

// Do executes one command. An error is always a *fault.Error: its message may
// be shown to the operator, its cause only in the log. The limit of keys per
// user does not apply to the operator.
func (a API) Do(ctx context.Context, c Command) (Reply, error) {
	reply, err := a.do(ctx, c)
	if err == nil {
		return reply, nil
	}
	shown := httpapi.Classify(err)
	if error(shown) != err { //nolint:errorlint // the same one needs no cause, one around it is the cause
		shown = shown.Because(err)
	}
	return Reply{}, shown
}

func (a API) do(ctx context.Context, c Command) (Reply, error) {
	for field, text := range map[string]*string{"name": &c.Name, "full name": &c.Full} {
		clean, err := naming.Clean(*text, false)
		if err != nil {
			return Reply{}, fault.New(fault.CodeInvalidRequest, fmt.Sprintf("The %s holds %v. Remove it.", field, err))
		}
		*text = clean
	}
	noun, verb, _ := strings.Cut(c.Action, " ")
	switch {
	case !slices.Contains(Actions(), c.Action):
		return Reply{}, fault.New(fault.CodeInvalidRequest, "The action must be one of: "+strings.Join(Actions(), ", ")+".")
	case c.Action == AddOrg:
		return a.addOrg(ctx, c)
	case c.Action == ListOrgs:
		orgs, err := a.Identity.Orgs(ctx)
		return Reply{Orgs: each(orgs, orgReply)}, err
	}
	org, err := a.org(ctx, c.Org)
	if err != nil {
		return Reply{}, err
	}
	operator := identity.Operator(org)
	var reply Reply
	switch noun {
	case Audit:
		reply, err = a.audit(ctx, operator, c)
	case "org":
		if c.Action == SetOrg {
			reply, err = a.setOrg(ctx, operator, c)
			break
		}
		reply, err = a.doOrg(ctx, operator, verb)
	case "user":
		reply, err = a.doUser(ctx, operator, verb, c)
	default:
		reply, err = a.doKey(ctx, operator, verb, c)
	}
	reply.OrgID, reply.OrgName = org.ID, org.Name
	return reply, err
}

func (a API) addOrg(ctx context.Context, c Command) (Reply, error) {
	if c.Name == "" || utf8.RuneCountInString(c.Name) > 255 {
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
	if err := a.newName(ctx, c); err != nil {
		return Reply{}, err
	}
	return welcomeReply(a.Identity.CreateOrg(ctx, identity.Org{Name: c.Name, EmailDomain: c.Domain}, c.person(), c.Another))
}

// person is the user to add.
func (c Command) person() identity.User {
	if c.Full == "" {
		c.Full, _, _ = strings.Cut(c.Email, "@")
	}
	return identity.User{Email: c.Email, FullName: c.Full, Admin: c.Admin}
}

// newName rejects a name that an organisation has already, in any case, unless
// the command asks for another one: it guards against a command given twice.
func (a API) newName(ctx context.Context, c Command) error {
	if c.Another {
		return nil
	}
	orgs, err := a.Identity.Orgs(ctx)
	if err != nil {
		return err
	}
	for _, o := range orgs {
		if strings.EqualFold(o.Name, c.Name) {
			return fault.New(fault.CodeConflict, fmt.Sprintf(
				"The organisation %q (%d) has this name already. Make a key for one of its users with key add, choose another name, or add one more of this name with --another (\"another\": true in an event).", o.Name, o.ID))
		}
	}
	return nil
}

func (a API) doOrg(ctx context.Context, operator identity.Caller, verb string) (Reply, error) {
	org, err := operator.Org, error(nil)
	if verb != "show" {
		org, err = a.Identity.SuspendOrg(ctx, operator, verb == "suspend")
	}
	return Reply{Orgs: []OrgReply{orgReply(org)}}, err
}

func (a API) doUser(ctx context.Context, operator identity.Caller, verb string, c Command) (Reply, error) {
	switch verb {
	case "add":
		return welcomeReply(a.Identity.CreateUser(ctx, operator.Org, c.person()))
	case "list":
		users, err := a.Identity.Users(ctx, operator)
		return Reply{Users: each(users, userReply)}, err
	}
	u, err := a.user(ctx, operator, c)
	if err == nil && verb != "show" {
		active := verb == "activate"
		u, err = a.Identity.UpdateUser(ctx, operator, u.ID, identity.UserDraft{Active: &active})
	}
	if err != nil {
		return Reply{}, err
	}
	return Reply{Users: []UserReply{userReply(u)}}, nil
}

func (a API) doKey(ctx context.Context, operator identity.Caller, verb string, c Command) (Reply, error) {
	switch verb {
	case "add":
		u, err := a.user(ctx, operator, c)
		if err != nil {
			return Reply{}, err
		}
		if c.Name == "" {
			c.Name = "key made by the operator"
		}
		k, text, err := a.Identity.CreateKey(ctx, operator, identity.Draft{Name: &c.Name, OwnerID: &u.ID, Scopes: c.Scopes})
		if err != nil {
			return Reply{}, err
		}
		return Reply{UserID: u.ID, Email: u.Email, ServiceKey: text, Keys: []KeyReply{keyReply(k, u.Email)}}, nil
	case "list":
		return a.listKeys(ctx, operator, c)
	}
	if c.Key == 0 {
		return Reply{}, fault.New(fault.CodeInvalidRequest, "Name the key by its id; key list shows the ids.")
	}
	change := map[string]func(context.Context, identity.Caller, int64) (identity.Key, error){
		"show": a.Identity.GetKey, "pause": a.Identity.PauseKey, "activate": a.Identity.ActivateKey, "delete": a.Identity.DeleteKey,
	}[verb]
	var text string
	if verb == "rotate" {
		change = func(ctx context.Context, who identity.Caller, key int64) (k identity.Key, err error) {
			k, text, err = a.Identity.RotateKey(ctx, who, key)
			return k, err
		}
	}
	k, err := change(ctx, operator, c.Key)
	if err != nil {
		return Reply{}, err
	}
	// The command is done, and its key is shown once: it does not fail for want of an address.
	u, err := a.Identity.GetUser(ctx, operator, k.OwnerID)
	if err != nil {
		u.Email = ""
	}
	return Reply{UserID: k.OwnerID, Email: u.Email, Keys: []KeyReply{keyReply(k, u.Email)}, ServiceKey: text}, nil
}

func (a API) listKeys(ctx context.Context, operator identity.Caller, c Command) (Reply, error) {
	var reply Reply
	var users []identity.User
	var keys []identity.Key
	var err error
	if c.ExpiresIn < 0 || c.ExpiresIn > 366 {
		return Reply{}, fault.New(fault.CodeInvalidRequest, "Give 1 to 366 days until the expiry of the keys to list.")
	}
	if c.User == 0 && c.Email == "" {
		if users, err = a.Identity.Users(ctx, operator); err == nil {
			keys, err = a.Identity.OrgKeys(ctx, operator)
		}
	} else {
		var u identity.User
		if u, err = a.user(ctx, operator, c); err == nil {
			reply.UserID, reply.Email, users = u.ID, u.Email, []identity.User{u}
			keys, err = a.Identity.ListKeys(ctx, operator, u.ID)
		}
	}
	if c.ExpiresIn > 0 {
		until := time.Now().AddDate(0, 0, c.ExpiresIn)
		keys = slices.DeleteFunc(keys, func(k identity.Key) bool { return k.ExpiresAt.After(until) })
	}
	address := map[int64]string{}
	for _, u := range users {
		address[u.ID] = u.Email
	}
	reply.Keys = each(keys, func(k identity.Key) KeyReply { return keyReply(k, address[k.OwnerID]) })
	return reply, err
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
		return identity.Org{}, fault.New(fault.CodeNotFound, "There is no organisation yet. Add one with org add.")
	}
	problem := "There are several organisations."
	if id != 0 {
		problem = fmt.Sprintf("There is no organisation %d.", id)
	}
	return identity.Org{}, fault.New(fault.CodeNotFound, problem+" Name one with --org, or as the org of an event: "+strings.Join(list, ", ")+".")
}

// user finds the user that a command names, by id or else by address.
func (a API) user(ctx context.Context, operator identity.Caller, c Command) (identity.User, error) {
	switch {
	case c.User != 0:
		return a.Identity.GetUser(ctx, operator, c.User)
	case c.Email != "":
		return a.Identity.UserByMail(ctx, operator.Org.ID, c.Email)
	}
	return identity.User{}, fault.New(fault.CodeInvalidRequest, "Name the user by e-mail address or by id; user list shows both.")
}
