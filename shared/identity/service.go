package identity

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"credence/shared/fault"
	"credence/shared/id"
	"credence/shared/store"
)

// Limits.
const (
	// MaxKeysPerUser is how many service keys a user may have, paused and
	// expired ones counted.
	MaxKeysPerUser = 20
	// MaxKeyLife is the longest a key may be valid from when it is made or its
	// expiry is changed; a key that names no expiry gets it.
	MaxKeyLife = 365 * 24 * time.Hour
	// SessionLife is how long a token signs in. Clients renew a token with less
	// than an hour left, so it must be well above that.
	SessionLife = 24 * time.Hour

	usedEvery = time.Hour // at most so often is a key's last use written
)

// Service makes and checks identities. Its methods may be called from many
// goroutines at once; all that they know lies in the store.
type Service struct {
	store   store.Store
	journal Journal
	now     func() time.Time
}

// New makes a Service. The clock decides what has expired.
func New(s store.Store, j Journal, now func() time.Time) *Service {
	return &Service{store: s, journal: j, now: now}
}

// clock is the time to the millisecond, as it will be read back.
func (s *Service) clock() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// CreateOrg makes an organisation. Two of one name are two organisations, so
// a call whose outcome is unknown is not to be repeated blindly.
func (s *Service) CreateOrg(ctx context.Context, name, emailDomain string) (Org, error) {
	var o Org
	err := s.retry(ctx, func() error {
		now := s.clock()
		o = Org{ID: id.New(now), Name: name, EmailDomain: strings.ToLower(emailDomain), CreatedAt: now}
		return s.store.Commit(ctx,
			store.Write{Verb: store.Put, Item: encodeOrg(o), If: store.Absent()},
			store.Write{Verb: store.Put, Item: store.Item{Key: SystemKey(o.ID), Attributes: store.Attributes{"org": o.ID}}, If: store.Absent()})
	})
	if err != nil {
		return Org{}, fmt.Errorf("making an organisation: %w", err)
	}
	return o, nil
}

// CreateUser makes an active user of an organisation that exists. Only the
// e-mail address, the full name and Admin of u are read. An address may be one
// user's of the organisation, without regard to case.
func (s *Service) CreateUser(ctx context.Context, org int64, u User) (User, error) {
	if err := CheckAddress(u.Email); err != nil {
		return User{}, err
	}
	err := s.retry(ctx, func() error {
		now := s.clock()
		u = User{
			ID: id.New(now), OrgID: org, Email: u.Email, FullName: u.FullName, Admin: u.Admin, Active: true,
			CreatedAt: now, UpdatedAt: now, Rev: 1,
		}
		named := store.Item{Key: MailKey(org, u.Email), Attributes: store.Attributes{"user": u.ID}}
		err := s.store.Commit(ctx,
			store.Write{Verb: store.Put, Item: encodeUser(u), If: store.Absent()},
			store.Write{Verb: store.Put, Item: named, If: store.Absent()},
			store.Write{Verb: store.Check, Item: store.Item{Key: OrgKey(org)}, If: store.Present()})
		switch {
		case store.ConditionFailed(err, 2):
			return fault.New(fault.CodeNotFound, "There is no such organisation.").Because(err)
		case store.ConditionFailed(err, 1):
			return invalid("/email", fault.DetailDuplicate, "Another user of the organisation has this address.")
		}
		return err
	})
	if err != nil {
		return User{}, fmt.Errorf("making a user: %w", err)
	}
	return u, nil
}

// CheckAddress takes an e-mail address (RFC 5322 addr-spec, at most 254 bytes)
// and answers the fault for anything else.
func CheckAddress(text string) error {
	address, err := mail.ParseAddress(text)
	if err != nil || address.Address != text || len(text) > 254 {
		return invalid("/email", fault.DetailMalformed, "The field \"email\" must be an address as name@example.com.")
	}
	return nil
}

// retry does what others got ahead of again, within the bounds of
// store.StartOver; do reads what it depends on anew each time. Any other error,
// a fault above all, ends it.
func (s *Service) retry(ctx context.Context, do func() error) error {
	for n := 0; ; n++ {
		err := do()
		var said *fault.Error
		if errors.As(err, &said) || !store.Overtaken(err) {
			return err
		}
		if !store.StartOver(ctx, err, n) {
			return fault.New(fault.CodeConflict,
				"Others changed the same thing at the same time, again and again. Read it and repeat your change.").Because(err)
		}
	}
}

// note makes the journal's write about a key.
func (s *Service) note(event string, k Key, by Caller) (store.Write, error) {
	return s.journal.Write(Occurrence{
		Org: k.OrgID, User: k.OwnerID, Key: k.ID, KeyName: k.Name, Event: event, By: by, At: s.clock(),
	})
}

func invalid(pointer, code, message string) error {
	return fault.Invalid([]fault.Detail{{Pointer: pointer, Code: code, Message: message}})
}
