package credential

import (
	"context"
	"errors"
	"fmt"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/connector"
	"credence/shared/fault"
	"credence/shared/id"
	"credence/shared/identity"
	"credence/shared/store"
)

// Service is what every operation on credentials needs, and all that reading
// their metadata needs. Editor, Revealer and Tester add a key service each, of
// exactly the rights their operations use.
type Service struct {
	Store store.Store
	Types *connector.Registry
	Now   func() time.Time
}

func notFound(id int64) error {
	return fault.New(fault.CodeNotFound, "There is no such credential, or you hold no role on it.").On(ResourceType, id)
}

// open checks the caller's right to a loaded credential. A caller without any role
// learns nothing, not even that the credential exists. A caller with a role but not
// this right is refused, and the refusal is written down first.
func (s Service) open(ctx context.Context, who identity.Caller, l *ForRead, p access.Permission) (Credential, access.Role, error) {
	if l.err != nil {
		return Credential{}, access.None, l.err
	}
	held := role(who, l.c, s.now())
	if !l.found || held == access.None {
		return Credential{}, access.None, notFound(l.id)
	}
	return l.c, held, s.permit(ctx, who, l.c, p)
}

// permit checks one right of a caller who holds some role.
func (s Service) permit(ctx context.Context, who identity.Caller, c Credential, p access.Permission) error {
	held := role(who, c, s.now())
	if held.Allows(p) || (p == access.Transfer && who.User.Admin) {
		return nil
	}
	if err := s.deny(ctx, who, c, p); err != nil {
		return err
	}
	message := fmt.Sprintf("Your role on this credential (%s) does not include this. Ask its owner.", held)
	return fault.New(fault.CodeForbidden, message).On(ResourceType, c.ID)
}

func (s Service) deny(ctx context.Context, who identity.Caller, c Credential, p access.Permission) error {
	e := s.entry(who, c, audit.Denied)
	e.Subject = audit.Subject{Type: ResourceType, ID: c.ID, Name: c.Name}
	e.Summary = []string{"refused: " + p.String()}
	return audit.Deny(ctx, s.Store, e)
}

// observe commits an entry that changes nothing, and the writes that belong to
// it. Two entries of one millisecond may draw the same id: then entry is called
// again, for another. A precondition of the other writes that does not hold is
// returned as the *store.ConditionError.
func (s Service) observe(ctx context.Context, entry func() audit.Entry, with ...store.Write) error {
	for attempt := 0; ; attempt++ {
		w, err := audit.Observation(entry())
		if err != nil {
			return err
		}
		err = s.Store.Commit(ctx, append([]store.Write{w}, with...)...)
		var failed *store.ConditionError
		if err == nil || errors.As(err, &failed) && !store.ConditionFailed(err, 0) {
			return err
		}
		if retry, err := startOver(ctx, err, attempt); !retry {
			return err
		}
	}
}

// entry starts an audit entry about a credential. Its owner's address is known
// here only when the caller is the owner; others' is filled in by who read it.
func (s Service) entry(who identity.Caller, c Credential, event audit.Event) audit.Entry {
	now := s.now()
	e := audit.By(who, event, now)
	e.ID, e.Org, e.Credential, e.OwnerID = id.New(now), c.Org, c.ID, c.Owner
	if c.Owner == who.User.ID {
		e.OwnerEmail = who.User.Email
	}
	return e
}

// Get returns what the caller may see of one credential. The owner costs one read
// more unless it is the caller.
func (s Service) Get(ctx context.Context, who identity.Caller, l *ForRead) (View, error) {
	c, held, err := s.open(ctx, who, l, access.Read)
	if err != nil {
		return View{}, err
	}
	return s.view(ctx, who, c, held)
}

func (s Service) view(ctx context.Context, who identity.Caller, c Credential, held access.Role) (View, error) {
	owner, err := s.owner(ctx, who, c)
	if err != nil {
		return View{}, err
	}
	return View{Credential: c, Role: held, Owner: owner, Org: who.Org}, nil
}

// exists is the condition that a credential is still there when a commit is
// made that does not write its row.
func exists(c Credential) store.Write {
	return store.Write{Verb: store.Check, Item: store.Item{Key: RowKey(c.Org, c.ID)}, If: store.Present()}
}

func (s Service) owner(ctx context.Context, who identity.Caller, c Credential) (identity.User, error) {
	if c.Owner == who.User.ID {
		return who.User, nil
	}
	items, err := s.Store.Get(ctx, identity.UserKey(c.Org, c.Owner))
	if err != nil {
		return identity.User{}, err
	}
	return s.ownerFrom(c, items[0])
}

// ownerFrom reads an owner's row. A credential may outlive its owner's row only
// through damage; it is shown with the bare id then, so that an admin can see
// and transfer it.
func (s Service) ownerFrom(c Credential, row store.Item) (identity.User, error) {
	if !row.Found() {
		return identity.User{ID: c.Owner, OrgID: c.Org}, nil
	}
	return identity.DecodeUser(row)
}

// changing makes a change of a loaded credential, and starts over from a fresh read
// as often as somebody else's change comes in between.
func (s Service) changing(ctx context.Context, who identity.Caller, l *ForChange, change func() error) error {
	for attempt := 0; ; attempt++ {
		err := change()
		if err == nil {
			return nil
		}
		retry, err := startOver(ctx, err, attempt)
		if !retry {
			return err
		}
		if err := s.reload(ctx, who, l); err != nil {
			return err
		}
	}
}

// startOver is store.Again for a change of a credential.
func startOver(ctx context.Context, err error, attempt int) (bool, error) {
	return store.Again(ctx, err, attempt, busy)
}

var busy = fault.New(fault.CodeConflict, "Others kept changing this credential at the same moment. Nothing was changed; try again.")

// now is the clock to the millisecond, which is what the wire and the store
// keep.
func (s Service) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }
