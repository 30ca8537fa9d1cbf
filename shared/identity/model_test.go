package identity_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/identity"
)

// TestRightsNeverGrow runs random operations by the keys of a random chain and
// holds every key that its holder knows to what the first one could do.
func TestRightsNeverGrow(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w, r := newWorld(t), rand.New(rand.NewPCG(seed, 1))
			some := func(of []access.Scope) []access.Scope {
				picked := slices.DeleteFunc(slices.Clone(of), func(access.Scope) bool { return r.IntN(3) == 0 })
				if len(picked) == 0 {
					return of[:1]
				}
				return picked
			}
			// The strong keys are the owner's; the attacker starts with a weak one.
			weakScopes := append(some(withoutWrite(all)), access.ScopeWrite)
			strong := map[int64]identity.Key{}
			for range 3 {
				k, _, _ := w.key(operator(w), w.draft(w.member, year-time.Duration(r.IntN(5))*month, all...))
				strong[k.ID] = k
			}
			life := time.Duration(1+r.IntN(6)) * month
			_, firstText, first := w.key(operator(w), w.draft(w.member, life, weakScopes...))
			known := []string{firstText}
			for step := range 150 {
				text := known[r.IntN(len(known))]
				s, err := w.SignIn(t.Context(), text, from)
				if err != nil {
					continue // an own key that an earlier step ended
				}
				who := s.Caller
				if !within(weakScopes, who.Scopes) || who.Expires.After(first.Expires) || who.User.ID != w.member.ID {
					t.Fatalf("step %d: a key of the attacker holds %v until %v, the first one %v until %v",
						step, who.Scopes, who.Expires, weakScopes, first.Expires)
				}
				known = append(known, w.randomStep(r, who, some)...)
			}
			for id, k := range strong {
				if len(weakScopes) == len(all) && !k.ExpiresAt.After(first.Expires.Add(identity.SessionLife)) {
					continue // not stronger
				}
				got, err := w.GetKey(t.Context(), operator(w), id)
				if err != nil || got.Rev != k.Rev+1 { // the sign-in of key touched it once
					t.Errorf("a stronger key changed: %+v, %v", got, err)
				}
			}
		})
	}
}

func withoutWrite(of []access.Scope) []access.Scope {
	return slices.DeleteFunc(slices.Clone(of), func(s access.Scope) bool { return s == access.ScopeWrite })
}

func within(outer, inner []access.Scope) bool {
	return !slices.ContainsFunc(inner, func(s access.Scope) bool { return !slices.Contains(outer, s) })
}

// randomStep does one operation on a random key of the member and returns the
// texts that it showed.
func (w *world) randomStep(r *rand.Rand, who identity.Caller, some func([]access.Scope) []access.Scope) []string {
	w.t.Helper()
	ctx := w.t.Context()
	keys := must(w.ListKeys(ctx, who, w.member.ID))(w.t)
	k := keys[r.IntN(len(keys))]
	at := w.time.Add(time.Duration(1+r.IntN(int(year/time.Hour))) * time.Hour)
	d := identity.Draft{Scopes: some(all), ExpiresAt: &at}
	if r.IntN(2) == 0 {
		d.ExpiresAt = nil
	}
	var text string
	var err error
	switch r.IntN(6) {
	case 0, 1:
		_, text, err = w.CreateKey(ctx, who, d)
	case 2:
		_, err = w.UpdateKey(ctx, who, k.ID, d)
	case 3:
		_, text, err = w.RotateKey(ctx, who, k.ID)
	case 4:
		_, err = w.PauseKey(ctx, who, k.ID)
		if err == nil && r.IntN(2) == 0 {
			_, err = w.ActivateKey(ctx, who, k.ID)
		}
	default:
		if r.IntN(3) == 0 {
			_, err = w.DeleteKey(ctx, who, k.ID)
		}
	}
	if err == nil && text != "" {
		return []string{text}
	}
	return nil
}
