package credential

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/pattern"
	"credence/shared/store"
)

// MaxReferences is how many things may use one credential.
const MaxReferences = 1000

var (
	referenceKind = pattern.New(`^[a-z][a-z0-9_]{0,31}$`)
	referenceID   = pattern.New(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`)
)

// check finds what is wrong with a reference that a client sent.
func (r Reference) check() error {
	var faults []fault.Detail
	if !referenceKind.MatchString(r.Kind) {
		faults = append(faults, fault.Detail{Pointer: "/type", Code: fault.DetailMalformed, Message: "Say what uses the credential in lower-case letters, digits and underscores, such as pipeline."})
	}
	if !referenceID.MatchString(r.ID) {
		faults = append(faults, fault.Detail{Pointer: "/id", Code: fault.DetailMalformed, Message: "Give the id as a number, or as at most 64 letters, digits, dots, colons, hyphens and underscores."})
	}
	return fault.Invalid(faults)
}

// References lists what uses the credential.
func (s Service) References(ctx context.Context, who identity.Caller, l *ForRead) (Credential, []Reference, error) {
	c, _, err := s.open(ctx, who, l, access.Read)
	if err != nil {
		return Credential{}, nil, err
	}
	list, err := s.references(ctx, c)
	return c, list, err
}

func (s Service) references(ctx context.Context, c Credential) ([]Reference, error) {
	page, err := s.Store.Range(ctx, store.Under(store.Meta, ownPartition(c.Org, c.ID), referencePrefix))
	if err != nil {
		return nil, err
	}
	return referencesIn(page.Items), nil
}

// referencesIn picks the references among what belongs to a credential.
func referencesIn(own []store.Item) []Reference {
	list := []Reference{}
	for _, item := range own {
		rest, ok := strings.CutPrefix(item.Key.Sort, referencePrefix)
		if !ok {
			continue
		}
		kind, name, _ := strings.Cut(rest, "#")
		a := item.Attributes
		r := Reference{Kind: kind, ID: name, Name: a.Text("name"), Owner: a.Int("owner"), Number: a.Bool("number"), HeldBy: a.Text("held")}
		if n, err := strconv.ParseInt(name, 10, 64); r.Number && err == nil {
			r.ID = strconv.FormatInt(n, 10)
		}
		list = append(list, r)
	}
	return list
}

// Link says that something uses the credential; saying it again changes
// nothing. Neither the credential's version nor its time of change moves. It
// returns all that uses the credential then.
func (s Service) Link(ctx context.Context, who identity.Caller, l *ForChange, r Reference) ([]Reference, error) {
	return s.relink(ctx, who, l, r, true)
}

// Unlink takes back what Link said; saying it again changes nothing. It returns
// all that still uses the credential.
func (s Service) Unlink(ctx context.Context, who identity.Caller, l *ForChange, r Reference) ([]Reference, error) {
	return s.relink(ctx, who, l, r, false)
}

func (s Service) relink(ctx context.Context, who identity.Caller, l *ForChange, r Reference, on bool) ([]Reference, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	var list []Reference
	err := s.changing(ctx, who, l, func() error {
		c, _, err := s.open(ctx, who, &l.ForRead, access.Use)
		if err != nil {
			return err
		}
		// The row's revision, which each link moves, holds this list to the
		// moment of the commit: it is the answer but for the one link.
		if list, err = s.references(ctx, c); err != nil {
			return err
		}
		key := func(r Reference) string { return ReferenceKey(c.Org, c.ID, r).Sort }
		at := slices.IndexFunc(list, func(other Reference) bool { return key(other) == key(r) })
		if on == (at >= 0) {
			return nil
		}
		if on && c.References >= MaxReferences {
			return tooManyReferences(c.ID)
		}
		if !on && list[at].HeldBy != "" {
			return fault.Invalid([]fault.Detail{{Pointer: "/id", Code: fault.DetailInUse, Message: list[at].sentence()}})
		}
		if err := s.commitLink(ctx, who, c, l.head, r, on); err != nil {
			return err
		}
		if !on {
			list = slices.Delete(list, at, at+1)
			return nil
		}
		r.Owner = who.User.ID
		list = append(list, r)
		slices.SortFunc(list, func(a, b Reference) int { return strings.Compare(key(a), key(b)) })
		return nil
	})
	return list, err
}

func tooManyReferences(id int64) error {
	return fault.New(fault.CodeLimitReached, fmt.Sprintf("At most %d things may use one credential.", MaxReferences)).On(ResourceType, id)
}

// commitLink moves the row, the count of them and the trail at once, so that a
// deletion sees either all of the link or none of it.
func (s Service) commitLink(ctx context.Context, who identity.Caller, c Credential, head audit.Head, r Reference, on bool) error {
	return s.commit(ctx, linkOf(who, c, head, r, on))
}

// linkOf is the change that adds a user of a credential or removes one.
func linkOf(who identity.Caller, c Credential, head audit.Head, r Reference, on bool) *change {
	ch := &change{who: who, before: c, after: c, head: head, event: audit.Unlinked, summary: []string{r.Kind + " " + r.ID}}
	if on {
		ch.event = audit.Linked
		ch.after.References++
		ch.writes = []store.Write{encodeReference(c, r, who)}
	} else {
		ch.after.References--
		ch.writes = []store.Write{remove(ReferenceKey(c.Org, c.ID, r), store.Present())}
	}
	return ch
}

func encodeReference(c Credential, r Reference, who identity.Caller) store.Write {
	a := store.Attributes{"owner": who.User.ID, "number": r.Number}
	a.SetText("name", r.Name)
	a.SetText("held", r.HeldBy)
	return store.Write{Verb: store.Put, Item: store.Item{Key: ReferenceKey(c.Org, c.ID, r), Attributes: a}, If: store.Absent()}
}
