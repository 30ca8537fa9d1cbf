package credential_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/envelope"
	"credence/shared/envelope/kmstest"
	"credence/shared/fault"
	"credence/shared/store"
	"credence/shared/store/storetest"
)

func TestNoSecretWithoutADurableEntry(t *testing.T) {
	for _, row := range []struct {
		what storetest.Mishap
		want error
	}{{storetest.Away, store.ErrUnavailable}, {storetest.LostReply, store.ErrOutcomeUnknown}} {
		w := newWorld(t)
		id := w.create(w.owner).ID
		w.store.Plan(3, row.what, nil)
		r, err := w.reveal(w.owner, id, 0)
		if !errors.Is(err, row.want) || r.Object.Len() != 0 || !w.store.Happened() {
			t.Errorf("%v: %v with %d bytes", row.what, err, r.Object.Len())
		}
	}
	w := newWorld(t)
	id := w.create(w.owner).ID
	for _, what := range []storetest.Mishap{storetest.Contended, storetest.Overtaken} { // an entry's id may be taken: another is drawn
		w.store.Plan(3, what, nil)
		if r, err := w.reveal(w.owner, id, 0); err != nil || r.Object.Len() == 0 {
			t.Errorf("%v: %v", what, err)
		}
	}
	if n := len(w.entries(id, audit.Revealed)); n != 2 {
		t.Errorf("%d entries", n)
	}
}

func TestRevealNotesItsUseOnceADayAndVersion(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	uses := func() int {
		n := 0
		for _, write := range w.store.Written() {
			if len(write.Item.Key.Sort) > 4 && write.Item.Key.Sort[:4] == "USE#" {
				n++
			}
		}
		return n
	}
	other := w.owner
	other.KeyID++
	for _, row := range []struct {
		name string
		do   func()
		want int
	}{
		{"first", func() { w.secretOf(id) }, 1},
		{"again", func() { w.secretOf(id) }, 0},
		{"with another key", func() { _, err := w.reveal(other, id, 0); w.must(err) }, 1},
		{"another version", func() { w.setSecret(id, postgres("b")); w.store.Reset(); w.secretOf(id) }, 1},
		{"another day", func() { w.clock.advance(24 * time.Hour); w.secretOf(id) }, 1},
		{"again that day", func() { w.secretOf(id) }, 0},
	} {
		w.store.Reset()
		row.do()
		if got := uses(); got != row.want {
			t.Errorf("%s: %d rows, want %d", row.name, got, row.want)
		}
	}
	_, reads, err := w.versions(w.admin, id)
	w.must(err)
	if len(reads) != 2 || reads[0].Version != 2 || reads[0].Day != "2026-03-02" || reads[0].Email != w.owner.User.Email || reads[1].Version != 1 {
		t.Errorf("last reads %+v", reads)
	}
	if n := len(w.entries(id, audit.Revealed)); n != 6 {
		t.Errorf("%d reveals in the log, want each", n)
	}
}

// TestWriterOfTheTablesGetsNoSecret plays whoever may write every table and has
// no right at the key service of ours, but one of his own.
func TestWriterOfTheTablesGetsNoSecret(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(w *world, victim, mine credential.View)
	}{
		{"ciphertext of another credential", func(w *world, victim, mine credential.View) {
			i := w.item(w.recordKey(mine.ID, 1))
			i.Attributes["ct"] = w.item(w.recordKey(victim.ID, 1)).Attributes["ct"]
			w.put(i)
		}},
		{"record of another credential", func(w *world, victim, mine credential.View) { w.plant(victim.ID, 1, mine.ID, 1) }},
		{"record of another version", func(w *world, _, mine credential.View) { w.plant(mine.ID, 2, mine.ID, 1) }},
		{"record of another organisation", func(w *world, victim, _ credential.View) {
			i := w.item(w.recordKey(victim.ID, 1))
			i.Key.Partition = fmt.Sprintf("ORG#%d", w.stranger.Org.ID)
			w.put(i)
			row := w.item(credential.RowKey(victim.Org.ID, victim.ID))
			row.Key.Partition, row.Attributes["owner"] = i.Key.Partition, w.stranger.User.ID
			w.put(row)
		}},
		{"another type", func(w *world, _, mine credential.View) {
			i := w.item(credential.RowKey(mine.Org.ID, mine.ID))
			i.Attributes["type"] = "mysql"
			w.put(i)
		}},
		{"an active version that the record is not of", func(w *world, _, mine credential.View) {
			w.plant(mine.ID, 2, mine.ID, 3)
			i := w.item(credential.RowKey(mine.Org.ID, mine.ID))
			i.Attributes["sv"] = int64(3)
			w.put(i)
		}},
		{"own key and own ciphertext", func(w *world, _, mine credential.View) {
			theirs := kmstest.New("planted")
			r, err := envelope.Seal(context.Background(), theirs.Caller(kmstest.GenerateDataKey, "planted"),
				envelope.Binding{Org: mine.Org.ID, Credential: mine.ID, Version: 1, Type: "postgres"}, postgres("theirs").Raw)
			w.must(err)
			i := w.item(w.recordKey(mine.ID, 1))
			i.Attributes["dk"], i.Attributes["kid"], i.Attributes["ct"] = r.DataKey, r.KeyID, r.Ciphertext
			w.put(i)
		}},
		{"another data key of ours", func(w *world, victim, mine credential.View) {
			i := w.item(w.recordKey(mine.ID, 1))
			i.Attributes["dk"] = w.item(w.recordKey(victim.ID, 1)).Attributes["dk"]
			w.put(i)
		}},
		{"a record cut short", func(w *world, _, mine credential.View) {
			i := w.item(w.recordKey(mine.ID, 1))
			i.Attributes["ct"] = i.Attributes.Bytes("ct")[:60]
			w.put(i)
		}},
		{"a record without its parts", func(w *world, _, mine credential.View) {
			w.put(store.Item{Key: w.recordKey(mine.ID, 1), Attributes: store.Attributes{"x": "y"}})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			victim, mine := w.create(w.heir), w.create(w.owner)
			w.setSecret(mine.ID, postgres("second"))
			if row.name != "an active version that the record is not of" {
				_, err := w.rollBack(w.owner, mine.ID, 1)
				w.must(err)
			}
			row.do(w, victim, mine)
			who, id := w.owner, mine.ID
			if row.name == "record of another organisation" {
				who, id = w.stranger, victim.ID
			}
			reveals := len(w.entries(id, audit.Revealed))
			r, err := w.reveal(who, id, 0)
			var f *fault.Error
			if !errors.As(err, &f) || f.Code != fault.CodeIntegrity || f.ResourceID != id || r.Object.Len() != 0 {
				t.Errorf("reveal: %v with %d bytes", err, r.Object.Len())
			}
			if _, err := w.copy(who, id); !fault.Is(err, fault.CodeIntegrity) {
				t.Errorf("copy: %v", err)
			}
			if got := len(w.entries(id, audit.Revealed)); got != reveals {
				t.Error("logged as revealed")
			}
			result, err := w.probe(who, id)
			if err != nil || result.Code != "INTEGRITY" || w.prober.count() != 0 {
				t.Errorf("probe: %s, %v", result.Code, err)
			}
		})
	}
}

func TestKeyServiceAway(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	before := len(w.store.Everything(t))
	for _, f := range []kmstest.Fault{kmstest.Throttled, kmstest.Internal, kmstest.LostReply} {
		w.kms.Inject(kmstest.Decrypt, f)
		if r, err := w.reveal(w.owner, id, 0); !errors.Is(err, envelope.ErrKMSUnavailable) || r.Object.Len() != 0 {
			t.Errorf("reveal: %v", err)
		}
		w.kms.Inject(kmstest.Decrypt, f)
		if _, err := w.copy(w.owner, id); !errors.Is(err, envelope.ErrKMSUnavailable) {
			t.Errorf("copy: %v", err)
		}
		w.kms.Inject(kmstest.GenerateDataKey, f, f, f)
		if _, err := w.editor.Create(context.Background(), w.owner, w.draft(), credential.Idempotency{}); !errors.Is(err, envelope.ErrKMSUnavailable) {
			t.Errorf("create: %v", err)
		}
		if _, err := w.update(w.owner, id, credential.Draft{Credentials: postgres("n")}); !errors.Is(err, envelope.ErrKMSUnavailable) {
			t.Errorf("update: %v", err)
		}
		if _, err := w.copy(w.owner, id); !errors.Is(err, envelope.ErrKMSUnavailable) {
			t.Errorf("copy: %v", err)
		}
	}
	if after := len(w.store.Everything(t)); after != before {
		t.Errorf("%d items more", after-before)
	}
}
