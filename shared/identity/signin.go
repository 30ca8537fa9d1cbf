package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/limit"
	"credence/shared/store"
)

// unauthenticated is the one answer for whoever is not signed in: what was
// wrong with a token helps only those who guess.
func unauthenticated() *fault.Error {
	return fault.New(fault.CodeUnauthenticated, "The service key or token is not accepted: it is missing, wrong, expired or paused. Get a token with POST /token and send it as Authorization: Bearer.")
}

// SignIn trades a service key for a session. A key that is unknown, wrong,
// paused or expired, whose user or organisation is suspended, or one of whose
// lineage is any of that, is CodeUnauthenticated, without a difference. The
// journal keeps the first attempt of each hour with a key that exists. After too
// many failures from one address it is CodeTooManyRequests, without a read.
func (s *Service) SignIn(ctx context.Context, text string, from Origin) (Session, error) {
	t, ok := parseToken(keyToken, text)
	if !ok {
		return Session{}, unauthenticated()
	}
	attempt := t.attempt(from)
	if err := admitted(s.signIns, attempt); err != nil {
		return Session{}, err
	}
	var session Session
	err := s.inTurn(ctx, t.key, func() error {
		items, err := s.store.Get(ctx, t.rows()...)
		if err != nil {
			return err
		}
		p, err := s.principal(t, items)
		if err != nil {
			return err
		}
		// The comparison is made even where there is no key, so that a miss
		// takes as long as a wrong secret.
		if right := p.key.hash.matches(t.hash); !right || !p.valid {
			s.signIns.Failed(attempt, items[0].Found())
			return s.refuse(ctx, p, from)
		}
		s.signIns.Accepted(attempt)
		session, err = s.open(ctx, p, EventSignIn, from)
		return err
	})
	if err != nil {
		return Session{}, fmt.Errorf("signing in: %w", err)
	}
	return session, nil
}

// attempt names the digest of the whole text, so that a right key does not admit
// forged ones that have its random bytes.
func (t token) attempt(from Origin) limit.Attempt {
	return limit.Attempt{Source: from.IP, Org: t.org, Digest: t.digest}
}

// admitted returns CodeTooManyRequests for an attempt that must wait.
func admitted(f *limit.Failures, a limit.Attempt) error {
	if wait := f.Wait(a); wait > 0 {
		return fault.New(fault.CodeTooManyRequests,
			"Too many attempts to authenticate failed from your address. Check the service key or token and wait, then try again.").After(wait)
	}
	return nil
}

// rows lists the rows that decide whether a token is accepted: organisation,
// user, key and sessions, then user and key of each member of the lineage.
func (t token) rows() []store.Key {
	keys := []store.Key{
		OrgKey(t.org), UserKey(t.org, t.user), ServiceKeyKey(t.org, t.user, t.key), sessionsKey(t.org, t.user, t.key),
	}
	for _, r := range t.lineage.Keys() {
		keys = append(keys, UserKey(t.org, r.User), ServiceKeyKey(t.org, r.User, r.Key))
	}
	return keys
}

// principal is the user and key that a token leads to.
type principal struct {
	found    bool
	valid    bool // neither the key nor its user, organisation or lineage prevents its use
	org      Org
	user     User
	key      keyRow
	scopes   []access.Scope // that the key and its lineage hold
	expires  time.Time      // the earliest expiry among the key and its lineage
	sessions sessions
	keyItem  store.Item
}

// principal decodes the rows of a token.
func (s *Service) principal(t token, rows []store.Item) (principal, error) {
	p := principal{keyItem: rows[2]}
	if !rows[0].Found() || !rows[1].Found() || !rows[2].Found() {
		return p, nil
	}
	now := s.clock()
	var errs [4]error
	p.org, errs[0] = DecodeOrg(rows[0])
	p.user, errs[1] = DecodeUser(rows[1])
	p.key, errs[2] = decodeKey(rows[2])
	p.sessions, errs[3] = decodeSessions(p.key, rows[3], now)
	if err := errors.Join(errs[:]...); err != nil {
		return principal{}, err
	}
	p.found, p.scopes, p.expires = true, p.key.Scopes, p.key.ExpiresAt
	p.valid = !p.org.Suspended && p.user.Active && usable(p.key.Key, now) && p.key.Lineage == t.lineage
	child := p.user
	for _, pair := range slices.Collect(slices.Chunk(rows[4:], 2)) {
		if !p.valid || !pair[0].Found() || !pair[1].Found() {
			p.valid = false
			return p, nil
		}
		maker, err := DecodeUser(pair[0])
		k, err2 := decodeKey(pair[1])
		if err := errors.Join(err, err2); err != nil {
			return principal{}, err
		}
		// A key for another user is an admin's to make, and to keep.
		p.valid = maker.Active && usable(k.Key, now) && (maker.ID == child.ID || maker.Admin)
		p.scopes = slices.DeleteFunc(slices.Clone(p.scopes), func(s access.Scope) bool { return !slices.Contains(k.Scopes, s) })
		if k.ExpiresAt.Before(p.expires) {
			p.expires = k.ExpiresAt
		}
		child = maker
	}
	return p, nil
}

// usable reports whether a key is neither paused nor expired.
func usable(k Key, now time.Time) bool { return !k.Paused && now.Before(k.ExpiresAt) }

func (p principal) caller(from Origin) Caller {
	return Caller{
		Org: p.org, User: p.user, Teams: p.user.Teams, KeyID: p.key.ID, KeyName: p.key.Name, Lineage: p.key.Lineage, Scopes: p.scopes, Expires: p.expires, Origin: from,
	}
}

// refusalKept is the time for which the journal keeps a failed sign-in.
const refusalKept = 90 * 24 * time.Hour

// refusalKey is the row by which the journal has one failed sign-in with a key
// in an hour.
func refusalKey(k Key, hour time.Time) store.Key {
	return store.Key{Table: store.Meta, Partition: UserPartition(k.OrgID, k.OwnerID), Sort: store.NewKeyText().Padded("REF#", k.ID).Int("#", hour.Unix()).String()}
}

// refuse journals a failed sign-in with a key that exists, once for each key
// and hour and not for ever, so that a stranger cannot fill the journal: the
// hour's first failure commits a row beside its entry. It returns the error for
// the caller.
func (s *Service) refuse(ctx context.Context, p principal, from Origin) error {
	if !p.found {
		return unauthenticated()
	}
	now := s.clock()
	w, err := s.journal.Write(Occurrence{
		Org: p.org.ID, User: p.user.ID, Key: p.key.ID, KeyName: p.key.Name, Event: EventSignInRefused, By: Caller{Org: p.org, Origin: from}, At: now,
		Expires: now.Add(refusalKept),
	})
	if err != nil {
		return err
	}
	hour := now.Truncate(time.Hour)
	err = s.store.Commit(ctx, w, store.Write{Verb: store.Put, If: store.Absent(), Item: store.Item{
		Key: refusalKey(p.key.Key, hour), Expires: hour.Add(2 * time.Hour), Attributes: store.Attributes{"at": now.UnixMilli()},
	}})
	if store.ConditionFailed(err, 1) || errors.Is(err, store.ErrConflict) {
		err = nil // the hour has its entry, or another failure is recording it
	}
	if err != nil {
		return err
	}
	return unauthenticated()
}

// open adds a session to those of the key, with its entry in the journal. The
// key's row joins the commit when its last use is an hour old. A rotation or a
// pause meanwhile needs no condition: each request compares the session with
// the key as it is then.
func (s *Service) open(ctx context.Context, p principal, event string, from Origin) (Session, error) {
	now := s.clock()
	text, h := newToken(sessionToken, p.key.Key)
	note, err := s.note(event, p.key.Key, p.caller(from))
	if err != nil {
		return Session{}, err
	}
	writes := []store.Write{p.sessions.with(h, now.Add(SessionLife)), note}
	if now.Sub(p.key.UsedAt) >= usedEvery {
		writes = append(writes, touched(p.keyItem, p.key.Rev, "used", now))
	}
	if err := s.store.Commit(ctx, writes...); err != nil {
		return Session{}, err
	}
	s.requests.Accepted(limit.Attempt{Digest: sha256.Sum256([]byte(text))})
	return Session{Caller: p.caller(from), Token: text, ExpiresIn: SessionLife}, nil
}

// touched writes a row back with one instant changed and its revision moved.
func touched(item store.Item, rev int64, name string, at time.Time) store.Write {
	item.Attributes.SetTime(name, at)
	item.Attributes["rev"] = rev + 1
	return store.Write{Verb: store.Put, Item: item, If: store.Equal("rev", rev)}
}

// Authenticate tells who a session's token belongs to, as the store has it now:
// a logout, a pause, a rotation or a suspension acts on the next request. The
// load, if there is one, joins the one consistent read. Every token that signs
// nobody in is the same CodeUnauthenticated.
func (s *Service) Authenticate(ctx context.Context, bearer string, from Origin, l Load) (Caller, error) {
	_, p, err := s.authenticate(ctx, bearer, from, l)
	if err != nil {
		return Caller{}, fmt.Errorf("authenticating: %w", err)
	}
	return p.caller(from), nil
}

// Load is what an operation reads in the round trip that authenticates its caller.
type Load interface {
	// Keys names the rows. The caller claims to be of the organisation.
	Keys(org int64) []store.Key
	// Fill takes the rows, one for each of Keys and in their order, once the caller
	// is authenticated.
	Fill(rows []store.Item)
}

func (s *Service) authenticate(ctx context.Context, bearer string, from Origin, l Load) (token, principal, error) {
	t, ok := parseToken(sessionToken, bearer)
	if !ok {
		return token{}, principal{}, unauthenticated()
	}
	attempt := t.attempt(from)
	if err := admitted(s.requests, attempt); err != nil {
		return token{}, principal{}, err
	}
	keys := t.rows()
	own := len(keys)
	if l != nil {
		keys = append(keys, l.Keys(t.org)...)
	}
	items, err := s.store.Get(ctx, keys...)
	if err != nil {
		return token{}, principal{}, err
	}
	p, err := s.principal(t, items[:own])
	if err != nil {
		return token{}, principal{}, err
	}
	if !p.valid || !p.sessions.has(t.hash) {
		s.requests.Failed(attempt, items[0].Found())
		return token{}, principal{}, unauthenticated()
	}
	s.requests.Accepted(attempt)
	if l != nil {
		l.Fill(items[own:])
	}
	return t, p, nil
}

// Refresh opens another session of the same key. The one of the token lives on
// until it expires, so that requests under way are not cut off.
func (s *Service) Refresh(ctx context.Context, bearer string, from Origin) (Session, error) {
	var session Session
	err := s.inTurn(ctx, keyOf(bearer), func() error {
		_, p, err := s.authenticate(ctx, bearer, from, nil)
		if err != nil {
			return err
		}
		session, err = s.open(ctx, p, EventRefresh, from)
		return err
	})
	if err != nil {
		return Session{}, fmt.Errorf("renewing a session: %w", err)
	}
	return session, nil
}

// Logout ends the token's session at once. Of two at the same time one is told
// that it is no longer signed in.
func (s *Service) Logout(ctx context.Context, bearer string, from Origin) error {
	err := s.inTurn(ctx, keyOf(bearer), func() error {
		t, p, err := s.authenticate(ctx, bearer, from, nil)
		if err != nil {
			return err
		}
		note, err := s.note(EventSignOut, p.key.Key, p.caller(from))
		if err != nil {
			return err
		}
		return s.store.Commit(ctx, p.sessions.without(t.hash), note)
	})
	if err != nil {
		return fmt.Errorf("signing out: %w", err)
	}
	return nil
}

// keyOf is the key that a session's token names, 0 for none.
func keyOf(bearer string) int64 {
	t, _ := parseToken(sessionToken, bearer)
	return t.key
}
