package resource

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/id"
	"credence/shared/identity"
	"credence/shared/store"
)

// Service creates, reads, changes and deletes data sources and data sinks. It seals
// the secret of an inline credential and opens none.
type Service struct{ Credentials credential.Editor }

func (s Service) store() store.Store { return s.Credentials.Store }

func (s Service) now() time.Time { return s.Credentials.Now().UTC().Truncate(time.Millisecond) }

func (s Service) entry(who identity.Caller, event audit.Event) audit.Entry {
	now := s.now()
	e := audit.By(who, event, now)
	e.ID = id.New(now)
	return e
}

// Create creates a resource of which the caller is the owner. An inline credential is
// created in the same commit: both exist afterwards, or neither. Its error lists all
// that is wrong with the draft. Calling it again creates another resource, unless
// idem names the same key: then it returns the first one.
func (s Service) Create(ctx context.Context, who identity.Caller, k Kind, d Draft, idem identity.Idempotency) (View, error) {
	inline, err := s.check(who, k, &d, true)
	if inline != nil {
		defer inline.Clear()
	}
	if err != nil {
		return View{}, err
	}
	r := Resource{Kind: k, Org: who.Org.ID, Owner: who.User.ID, Status: Init}
	d.apply(&r)
	var used int64
	if d.Credential != nil {
		used = *d.Credential
	}
	return s.insert(ctx, who, insertion{r: r, event: audit.Created, used: used, inline: inline, idem: idem})
}

// insertion is a new resource on its way to a commit.
type insertion struct {
	r      Resource
	event  audit.Event
	used   int64               // the credential to use; 0 = none, or inline
	inline *credential.Checked // nil = none
	idem   identity.Idempotency
}

func (s Service) insert(ctx context.Context, who identity.Caller, in insertion) (View, error) {
	for attempt := 0; ; attempt++ {
		a, found, err := in.idem.Used(ctx, s.store(), who)
		if err != nil {
			return View{}, err
		}
		if found {
			return s.replay(ctx, who, in.r.Kind, a.Int("id"))
		}
		r := in.r
		r.CreatedAt = s.now()
		r.ID, r.UpdatedAt = id.New(r.CreatedAt), r.CreatedAt
		used, writes, err := s.using(ctx, who, &r, in)
		if err != nil {
			return View{}, err
		}
		ch := change{who: who, after: r, event: in.event, fields: map[string]audit.Change{"name": {nil, r.Name}}, summary: []string{"created"}}
		if r.Credential != 0 {
			ch.summary = append(ch.summary, "with credential "+strconv.FormatInt(r.Credential, 10))
		}
		own, err := ch.writes(s.entry(who, in.event))
		if err != nil {
			return View{}, err
		}
		writes = append(append(own, writes...), in.idem.Writes(who, r.CreatedAt, store.Attributes{"id": r.ID})...)
		if err = s.store().Commit(ctx, writes...); err == nil {
			return View{Resource: r, Role: access.Owner, Owner: who.User, Org: who.Org, Used: used}, nil
		}
		if retry, err := startOver(ctx, err, attempt); !retry {
			return View{}, err
		}
	}
}

// using makes the writes of the credential that a new resource uses, and completes
// the resource with it.
func (s Service) using(ctx context.Context, who identity.Caller, r *Resource, in insertion) (used *credential.View, writes []store.Write, err error) {
	var v credential.View
	switch {
	case in.inline != nil:
		v, writes, err = s.Credentials.Insert(ctx, who, in.inline, r.reference())
	case in.used != 0:
		v, writes, err = s.Credentials.Using(ctx, who, in.used, r.reference())
	default:
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if r.Type == "" {
		r.Type = v.Type
	}
	r.Credential = v.ID
	return &v, writes, sameType(*r, v)
}

// sameType returns the fault for a resource that is not of its credential's type.
func sameType(r Resource, c credential.View) error {
	if r.Type == c.Type {
		return nil
	}
	return fault.Invalid([]fault.Detail{{
		Pointer: "/" + kinds[r.Kind].reference[len("data_"):] + "_type", Code: fault.DetailConflict,
		Message: fmt.Sprintf("The credential is of the type %s. Send that type, or a credential of yours.", c.Type),
	}})
}

func (s Service) replay(ctx context.Context, who identity.Caller, k Kind, id int64) (View, error) {
	l := Load{kind: k, id: id}
	if err := s.reload(ctx, who, &l); err != nil {
		return View{}, err
	}
	return s.Get(ctx, who, &l)
}

// Get returns a resource and the form of its credential that the caller may see.
func (s Service) Get(ctx context.Context, who identity.Caller, l *Load) (View, error) {
	r, held, err := open(who, l)
	if err != nil {
		return View{}, err
	}
	views, err := s.views(ctx, who, []Resource{r})
	if err != nil {
		return View{}, err
	}
	views[0].Role = held
	return views[0], nil
}

// Log returns a page of the resource's log. After its deletion, its last owner and
// the admins of the organisation read it.
func (s Service) Log(ctx context.Context, who identity.Caller, l *Load, q audit.Query) (audit.Page, error) {
	deleted := l.head.Gone && l.head.Type == l.kind.String()
	last := l.head.OwnerID == who.User.ID || who.User.Admin
	if _, _, err := open(who, l); err != nil && (!deleted || !last) {
		return audit.Page{}, err
	}
	q.Org, q.Credential = who.Org.ID, l.id
	return audit.Read(ctx, s.store(), q)
}

// startOver is store.Again for a change of a resource.
func startOver(ctx context.Context, err error, attempt int) (bool, error) {
	return store.Again(ctx, err, attempt, busy)
}

var busy = fault.New(fault.CodeConflict, "Others kept changing this at the same moment. Nothing was changed; try again.")
