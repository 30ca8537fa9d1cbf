package identity

import (
	"context"
	"fmt"
	"net/mail"
	"time"

	"credence/shared/fault"
	"credence/shared/id"
	"credence/shared/limit"
	"credence/shared/store"
)

// Limits.
const (
	// MaxKeysPerUser is the number of service keys up to which a user may add
	// one, paused and expired ones counted. The room above it is for those who
	// help a user whose keys are used up: admins first, then the operator.
	MaxKeysPerUser    = 20
	maxKeysByAdmin    = 25
	maxKeysByOperator = 40
	// MaxGenerations is the length of a chain of keys made with each other, the
	// one that the operator made included: it bounds what each request reads.
	MaxGenerations = 4
	// MaxKeyLife is the longest a key may be valid from when it is made or its
	// expiry is changed; a key that names no expiry gets it.
	MaxKeyLife = 365 * 24 * time.Hour
	// SessionLife is how long a token signs in. Clients renew a token with less
	// than an hour left, so it must be well above that.
	SessionLife = 24 * time.Hour

	usedEvery = time.Hour // at most so often is a key's last use written
)

// Service makes and checks identities. Its methods may be called from many
// goroutines at once; all that they know lies in the store, but for the recent
// failures to authenticate.
type Service struct {
	store   store.Store
	journal Journal
	now     func() time.Time
	// Failed attempts are counted apart, so that expired tokens keep no key out.
	signIns  *limit.Failures
	requests *limit.Failures
	turns    [256]chan struct{} // one token each; see inTurn
}

// New makes a Service. The clock decides what has expired.
func New(s store.Store, j Journal, now func() time.Time) *Service {
	service := &Service{store: s, journal: j, now: now, signIns: limit.NewFailures(now), requests: limit.NewFailures(now)}
	for n := range service.turns {
		service.turns[n] = make(chan struct{}, 1)
	}
	return service
}

// clock is the time to the millisecond, as it will be read back.
func (s *Service) clock() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

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
		if err == nil {
			return nil
		}
		if again, err := store.Again(ctx, err, n, busy); !again {
			return err
		}
	}
}

var busy = fault.New(fault.CodeConflict, "Others changed the same thing at the same time, again and again. Read it and repeat your change.")

// inTurn does what changes the sessions of a key. If it was overtaken, it starts
// over, one caller of this process at a time for the key: programs that start
// together with one key do not wear each other's attempts out.
func (s *Service) inTurn(ctx context.Context, key int64, do func() error) error {
	err := do()
	if !store.Overtaken(err) {
		return err
	}
	turn := s.turns[key%int64(len(s.turns))]
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for other sign-ins with the key: %w", ctx.Err())
	}
	if err = s.retry(ctx, do); fault.Is(err, fault.CodeConflict) {
		return fault.New(fault.CodeTooManyRequests, "Many programs sign in with this service key at the same time. Try again shortly, or keep a token for a day.").
			Because(err).After(time.Second)
	}
	return err
}

// note makes the journal's write about a key.
func (s *Service) note(event string, k Key, by Caller) (store.Write, error) {
	return s.journal.Write(occurrence(event, k, by, s.clock()))
}

func occurrence(event string, k Key, by Caller, at time.Time) Occurrence {
	return Occurrence{Org: k.OrgID, User: k.OwnerID, Key: k.ID, KeyName: k.Name, Event: event, By: by, At: at}
}

// notes makes the journal's writes of one commit, with ids that differ.
func (s *Service) notes(all ...Occurrence) ([]store.Write, error) {
	writes := make([]store.Write, 0, len(all))
	now := s.clock()
	first := id.New(now)
	for n, o := range all {
		o.ID = id.At(now, first+int64(n))
		w, err := s.journal.Write(o)
		if err != nil {
			return nil, err
		}
		writes = append(writes, w)
	}
	return writes, nil
}

func invalid(pointer, code, message string) error {
	return fault.Invalid([]fault.Detail{{Pointer: pointer, Code: code, Message: message}})
}
