package audit_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/identity"
	"credence/shared/store"
)

// A denial is in the organisation's log always, and in the credential's log if
// the caller may see the credential.
func TestDenialsAreInBothLogs(t *testing.T) {
	for name, owner := range map[string]int64{"seen": 43, "not seen": 0} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			who := identity.Caller{Org: identity.Org{ID: 101}, User: identity.User{ID: 42}, KeyID: 9, KeyName: "job"}
			err := audit.Refusals{Store: s, Now: func() time.Time { return start }}.Denied(t.Context(), who, access.Refusal{
				Route: "PUT /data_credentials/{id}", Missing: []access.Scope{"probe", "write"},
				Resource: "DataCredentials", ResourceID: 5008, Owner: owner,
			})
			if err != nil {
				t.Fatal(err)
			}
			own := read(t, s, audit.Query{Credential: 5008, Limit: 10}).Entries
			day := read(t, s, audit.Query{To: start.AddDate(0, 0, 1), From: start.AddDate(0, 0, -1), Limit: 10}).Entries
			if len(day) != 1 || len(own) != min(int(owner), 1) {
				t.Fatalf("%d entries of the organisation, %d of the credential", len(day), len(own))
			}
			for _, e := range slices.Concat(own, day) {
				said := strings.Join(e.Summary, " ")
				if e.Event != audit.Denied || e.KeyID != 9 || e.KeyName != "job" || e.Subject.ID != 5008 || !strings.Contains(said, "probe, write") {
					t.Errorf("entry %+v", e)
				}
			}
			if report, err := audit.Verify(t.Context(), s, 101, 5008); err != nil || len(report.Faults) > 0 {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// rivals gives the id of each of the first entries to another entry first.
type rivals struct {
	store.Store
	left int
}

func (r *rivals) Commit(ctx context.Context, writes ...store.Write) error {
	if r.left > 0 {
		r.left--
		if err := r.Store.Commit(ctx, writes[0]); err != nil {
			return err
		}
	}
	return r.Store.Commit(ctx, writes...)
}

// A denial whose id another entry has is recorded under another id. One that
// cannot be recorded is ours to answer for, and no conflict of the caller.
func TestDenialsOfOneMillisecond(t *testing.T) {
	for n, recorded := range map[int]bool{1: true, 4: true, 5: false} {
		s := open(t)
		who := identity.Caller{Org: identity.Org{ID: 101}, User: identity.User{ID: 42}, KeyID: 9}
		err := audit.Refusals{Store: &rivals{s, n}, Now: func() time.Time { return start }}.Denied(t.Context(), who, access.Refusal{
			Route: "GET /data_credentials/{id}", Missing: []access.Scope{"read"}, Resource: "DataCredentials", ResourceID: 5008, Owner: 43,
		})
		if recorded != (err == nil) || !recorded && (!errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrOutcomeUnknown)) {
			t.Errorf("after %d rivals: %v", n, err)
		}
		own := read(t, s, audit.Query{Credential: 5008, Limit: 10}).Entries
		if len(own) != 1 && recorded || len(own) != 0 && !recorded {
			t.Errorf("after %d rivals: %d entries of the credential", n, len(own))
		}
	}
}

// Entries outside the chain expire as their organisation says, or earlier if the
// occurrence says so; changes never do.
func TestExpiry(t *testing.T) {
	const day = 24 * time.Hour
	for days, want := range map[int][2]time.Duration{0: {400 * day, 30 * day}, 7: {7 * day, 7 * day}, 3000: {3000 * day, 30 * day}} {
		org := identity.Org{ID: 101, AuditDays: days}
		for n, expires := range []time.Time{{}, start.Add(30 * day)} {
			w, err := audit.Journal{}.Write(identity.Occurrence{
				Org: 101, Key: 9, Event: identity.EventSignIn, By: identity.Caller{Org: org}, At: start, Expires: expires,
			})
			if err != nil || w.Item.Expires.Sub(start) != want[n] {
				t.Errorf("with %d days, expiring %v: %v, %v", days, expires, w.Item.Expires, err)
			}
		}
		e := audit.By(identity.Caller{Org: org}, audit.Probed, start)
		observed, err := audit.Observation(e)
		if err != nil || observed.Item.Expires.Sub(start) != want[0] {
			t.Errorf("an observation with %d days is kept until %v, %v", days, observed.Item.Expires, err)
		}
		writes, err := audit.Record(audit.Head{}, false, e)
		if err != nil || slices.ContainsFunc(writes, func(w store.Write) bool { return !w.Item.Expires.IsZero() }) {
			t.Errorf("a change expires: %v", err)
		}
	}
	if _, err := (audit.Journal{}).Write(identity.Occurrence{Org: 101, Event: "unlisted", At: start}); err == nil {
		t.Error("an event that no filter knows is recorded")
	}
}
