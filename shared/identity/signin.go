package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"credence/shared/fault"
	"credence/shared/store"
)

// unauthenticated is the one answer for whoever is not signed in: what was
// wrong with a token helps only those who guess.
func unauthenticated() *fault.Error {
	return fault.New(fault.CodeUnauthenticated, "The service key or token does not sign in: it is missing, wrong, expired or paused. Get a token with POST /token and send it as Authorization: Bearer.")
}

// SignIn trades a service key for a session. A key that is unknown, wrong,
// paused, expired or its user's who is no longer active is CodeUnauthenticated,
// whichever it is; if its organisation exists, the journal keeps the attempt,
// and a journal that cannot be written is the error instead.
func (s *Service) SignIn(ctx context.Context, text string, from Origin) (Session, error) {
	t, ok := parseToken(keyToken, text)
	if !ok {
		return Session{}, unauthenticated()
	}
	var session Session
	err := s.retry(ctx, func() error {
		items, err := s.store.Get(ctx, OrgKey(t.org), UserKey(t.org, t.user), ServiceKeyKey(t.org, t.user, t.key))
		if err != nil {
			return err
		}
		p, err := s.principal(items[0], items[1], items[2])
		if err != nil {
			return err
		}
		// The comparison is made even where there is no key, so that a miss
		// takes as long as a wrong secret.
		if right := p.key.hash.matches(t.hash); !right || !p.valid {
			return s.refuse(ctx, t, p, from)
		}
		session, err = s.open(ctx, p, EventSignIn, from)
		return err
	})
	if err != nil {
		return Session{}, fmt.Errorf("signing in: %w", err)
	}
	return session, nil
}

// principal is whom a token leads to.
type principal struct {
	orgFound bool
	valid    bool // user active, key neither paused nor expired
	org      Org
	user     User
	key      keyRow
	keyItem  store.Item
}

func (s *Service) principal(org, user, key store.Item) (principal, error) {
	p := principal{orgFound: org.Found(), keyItem: key}
	if !org.Found() {
		return p, nil
	}
	var errs [3]error
	p.org, errs[0] = DecodeOrg(org)
	if errs[0] == nil && (!user.Found() || !key.Found()) {
		return p, nil
	}
	p.user, errs[1] = DecodeUser(user)
	p.key, errs[2] = decodeKey(key)
	if err := errors.Join(errs[:]...); err != nil {
		return principal{}, err
	}
	p.valid = !p.org.Suspended && p.user.Active && !p.key.Paused && s.clock().Before(p.key.ExpiresAt)
	return p, nil
}

func (p principal) caller(from Origin) Caller {
	return Caller{Org: p.org, User: p.user, KeyID: p.key.ID, KeyName: p.key.Name, Scopes: p.key.Scopes, Origin: from}
}

// refuse journals a failed sign-in, if there is an organisation whose it is,
// and returns what the caller gets.
func (s *Service) refuse(ctx context.Context, t token, p principal, from Origin) error {
	if !p.orgFound {
		return unauthenticated()
	}
	w, err := s.note(EventSignInRefused, Key{ID: t.key, OrgID: t.org, OwnerID: t.user}, Caller{Org: p.org, Origin: from})
	if err != nil {
		return err
	}
	if err := s.store.Commit(ctx, w); err != nil {
		return err
	}
	return unauthenticated()
}

// open makes a session and its entry in the journal, one commit. The key's row
// joins it when its last use is an hour old. That the key may be rotated or
// paused meanwhile does no harm: each request compares the session with the
// key as it then is.
func (s *Service) open(ctx context.Context, p principal, event string, from Origin) (Session, error) {
	now := s.clock()
	text, h := newToken(sessionToken, p.org.ID, p.user.ID, p.key.ID)
	note, err := s.note(event, p.key.Key, p.caller(from))
	if err != nil {
		return Session{}, err
	}
	writes := []store.Write{
		{Verb: store.Put, Item: encodeSession(p.key, h, now.Add(SessionLife)), If: store.Absent()},
		note,
	}
	if now.Sub(p.key.UsedAt) >= usedEvery {
		writes = append(writes, touched(p.keyItem, p.key.Rev, "used", now))
	}
	if err := s.store.Commit(ctx, writes...); err != nil {
		return Session{}, err
	}
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
// items that reads names join the one consistent read. Every token that signs
// nobody in is the same CodeUnauthenticated.
func (s *Service) Authenticate(ctx context.Context, bearer string, from Origin, reads func(org int64) []store.Key) (Caller, []store.Item, error) {
	_, p, items, err := s.session(ctx, bearer, reads)
	if err != nil {
		return Caller{}, nil, fmt.Errorf("authenticating: %w", err)
	}
	return p.caller(from), items, nil
}

func (s *Service) session(ctx context.Context, bearer string, reads func(org int64) []store.Key) (token, principal, []store.Item, error) {
	t, ok := parseToken(sessionToken, bearer)
	if !ok {
		return token{}, principal{}, nil, unauthenticated()
	}
	keys := []store.Key{
		OrgKey(t.org), UserKey(t.org, t.user), ServiceKeyKey(t.org, t.user, t.key), sessionKey(t.org, t.user, t.hash),
	}
	own := len(keys)
	if reads != nil {
		keys = append(keys, reads(t.org)...)
	}
	items, err := s.store.Get(ctx, keys...)
	if err != nil {
		return token{}, principal{}, nil, err
	}
	p, err := s.principal(items[0], items[1], items[2])
	if err != nil {
		return token{}, principal{}, nil, err
	}
	// The item's own name holds the token's hash, so finding it is the proof;
	// what the token says of its key must be what the session says.
	a := items[3].Attributes
	alive := items[3].Found() && s.clock().Before(a.Time("expires"))
	if !p.valid || !alive || a.Int("key") != t.key || a.Int("made") != p.key.madeAt {
		return token{}, principal{}, nil, unauthenticated()
	}
	return t, p, items[own:], nil
}

// Refresh opens another session of the same key. The one of the token lives on
// until it expires, so that requests under way are not cut off.
func (s *Service) Refresh(ctx context.Context, bearer string, from Origin) (Session, error) {
	var session Session
	err := s.retry(ctx, func() error {
		_, p, _, err := s.session(ctx, bearer, nil)
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
	err := s.retry(ctx, func() error {
		t, p, _, err := s.session(ctx, bearer, nil)
		if err != nil {
			return err
		}
		note, err := s.note(EventSignOut, p.key.Key, p.caller(from))
		if err != nil {
			return err
		}
		return s.store.Commit(ctx,
			store.Write{Verb: store.Delete, Item: store.Item{Key: sessionKey(t.org, t.user, t.hash)}, If: store.Present()}, note)
	})
	if err != nil {
		return fmt.Errorf("signing out: %w", err)
	}
	return nil
}
