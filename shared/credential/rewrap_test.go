package credential_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"credence/shared/credential"
	"credence/shared/envelope"
	"credence/shared/envelope/kmstest"
	"credence/shared/store"
	"credence/shared/store/embedded"
)

const (
	oldKey = "11111111-1111-4111-8111-111111111111"
	newKey = "22222222-2222-4222-8222-222222222222"
	orgID  = 101
)

// rewrapBench is a vault of records sealed under the old key, and a KMS whose
// current key is the new one.
type rewrapBench struct {
	store   store.Store
	kms     *kmstest.KMS
	records int
}

func newRewrapBench(t *testing.T, records int) rewrapBench {
	t.Helper()
	s, err := embedded.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b := rewrapBench{s, kmstest.New(oldKey, newKey), records}
	for n := range records {
		r, err := envelope.Seal(t.Context(), b.kms.Caller(kmstest.GenerateDataKey, oldKey), recordBinding(n), recordText(n))
		if err != nil {
			t.Fatal(err)
		}
		b.put(t, n, r)
	}
	return b
}

func recordBinding(n int) envelope.Binding {
	return envelope.Binding{Org: orgID, Credential: int64(1000 + n), Version: int64(1 + n%3), Type: "rest"}
}

func recordText(n int) []byte { return fmt.Appendf(nil, `{"api_key":"secret %d"}`, n) }

func recordKey(n int) store.Key {
	b := recordBinding(n)
	return store.Key{Table: store.Vault, Partition: "ORG#101", Sort: fmt.Sprintf("SEC#%016d#%016d", b.Credential, b.Version)}
}

func (b rewrapBench) put(t *testing.T, n int, r envelope.Record) {
	t.Helper()
	a := store.Attributes{"dk": r.DataKey, "kid": r.KeyID, "kmid": r.KeyMaterialID, "ct": r.Ciphertext}
	if err := b.store.Commit(t.Context(), store.Write{Verb: store.Put, Item: store.Item{Key: recordKey(n), Attributes: a}, If: store.Always()}); err != nil {
		t.Fatal(err)
	}
}

// check opens every record, and counts those under the new key.
func (b rewrapBench) check(t *testing.T) (moved int) {
	t.Helper()
	for n := range b.records {
		items, err := b.store.Get(t.Context(), recordKey(n))
		if err != nil {
			t.Fatal(err)
		}
		a := items[0].Attributes
		r := envelope.Record{DataKey: a.Bytes("dk"), KeyID: a.Text("kid"), KeyMaterialID: a.Text("kmid"), Ciphertext: a.Bytes("ct")}
		got, err := envelope.Open(t.Context(), b.kms.Caller(kmstest.Decrypt, newKey, oldKey), recordBinding(n), r)
		if err != nil || string(got.Expose()) != string(recordText(n)) {
			t.Fatalf("record %d does not open: %v", n, err)
		}
		if strings.Contains(r.KeyID, newKey) {
			moved++
		}
	}
	return moved
}

func (b rewrapBench) rewrapper(s store.Store) credential.Rewrapper {
	arn := b.kms.Caller(kmstest.GenerateDataKey, newKey)
	key, err := arn.GenerateDataKey(context.Background(), recordBinding(0).EncryptionContext())
	if err != nil {
		panic(err)
	}
	return credential.Rewrapper{Store: s, Keys: b.kms.Caller(kmstest.ReEncrypt, newKey, oldKey), Current: key.KeyID}
}

func TestRewrapMovesEveryRecordAndOpensNone(t *testing.T) {
	b := newRewrapBench(t, 60)
	r := b.rewrapper(b.store)
	var total credential.Rewrapped
	for rounds := 0; ; rounds++ {
		done, err := r.Org(t.Context(), orgID, total.Next, 17)
		if err != nil {
			t.Fatal(err)
		}
		total.Moved += done.Moved
		total.Next = done.Next
		if done.Next == "" {
			break
		}
		if rounds > 10 {
			t.Fatal("the cursor does not reach the end")
		}
	}
	if total.Moved != 60 || b.check(t) != 60 {
		t.Errorf("moved %d, want 60", total.Moved)
	}
	again, err := r.Org(t.Context(), orgID, "", 1000)
	if err != nil || again.Moved != 0 || again.Already != 60 || again.Next != "" {
		t.Errorf("a second run: %+v, %v", again, err)
	}
	b.kms.SetState(oldKey, kmstest.PendingDeletion)
	if b.check(t) != 60 {
		t.Error("a record still needs the old key")
	}
}

// crashing fails its nth call, before it or after it took effect.
type crashing struct {
	store.Store
	at    int
	after bool
	calls *int
}

var errCrash = errors.New("the process died")

func (c crashing) Range(ctx context.Context, r store.Range) (store.Page, error) {
	if *c.calls++; *c.calls == c.at {
		return store.Page{}, errCrash
	}
	return c.Store.Range(ctx, r)
}

func (c crashing) Commit(ctx context.Context, w ...store.Write) error {
	if *c.calls++; *c.calls != c.at {
		return c.Store.Commit(ctx, w...)
	}
	if c.after {
		_ = c.Store.Commit(ctx, w...)
	}
	return errCrash
}

func TestRewrapResumesAfterACrashAtEachStep(t *testing.T) {
	const records = 6
	for _, after := range []bool{false, true} {
		for at := 1; at <= records+1; at++ {
			t.Run(fmt.Sprintf("call %d, after %v", at, after), func(t *testing.T) {
				b := newRewrapBench(t, records)
				calls := 0
				done, err := b.rewrapper(crashing{b.store, at, after, &calls}).Org(t.Context(), orgID, "", 1000)
				if !errors.Is(err, errCrash) {
					t.Fatalf("%+v, %v, want the crash", done, err)
				}
				b.check(t)
				if _, err := b.rewrapper(b.store).Org(t.Context(), orgID, done.Next, 1000); err != nil {
					t.Fatal(err)
				}
				if moved := b.check(t); moved != records {
					t.Errorf("%d of %d moved", moved, records)
				}
			})
		}
	}
}

func TestRewrapStopsWhenTheKMSIsAway(t *testing.T) {
	b := newRewrapBench(t, 5)
	b.kms.SetState(newKey, kmstest.Disabled)
	r := credential.Rewrapper{Store: b.store, Keys: b.kms.Caller(kmstest.ReEncrypt, newKey, oldKey)}
	if done, err := r.Org(t.Context(), orgID, "", 1000); !errors.Is(err, envelope.ErrKMSUnavailable) || done.Moved != 0 || done.Next != "" {
		t.Errorf("%+v, %v, want ErrKMSUnavailable at the beginning", done, err)
	}
	if moved := b.check(t); moved != 0 {
		t.Errorf("%d moved", moved)
	}
}

func TestRewrapRefusesARecordThatWasMovedThere(t *testing.T) {
	b := newRewrapBench(t, 3)
	items, err := b.store.Get(t.Context(), recordKey(0))
	if err != nil {
		t.Fatal(err)
	}
	stolen := items[0]
	stolen.Key = recordKey(1)
	if err := b.store.Commit(t.Context(), store.Write{Verb: store.Put, Item: stolen, If: store.Present()}); err != nil {
		t.Fatal(err)
	}
	done, err := b.rewrapper(b.store).Org(t.Context(), orgID, "", 1000)
	if err != nil || done.Moved != 2 || len(done.Refused) != 1 || done.Refused[0] != "1001/2" {
		t.Errorf("%+v, %v, want 1001/2 refused and the others moved", done, err)
	}
}

// overtaking replaces a record just before the rewrap commits it.
type overtaking struct {
	store.Store
	t     *testing.T
	bench rewrapBench
}

func (o overtaking) Commit(ctx context.Context, w ...store.Write) error {
	if w[0].Item.Key == recordKey(1) {
		r, err := envelope.Seal(ctx, o.bench.kms.Caller(kmstest.GenerateDataKey, newKey), recordBinding(1), recordText(1))
		if err != nil {
			o.t.Fatal(err)
		}
		o.bench.put(o.t, 1, r)
	}
	return o.Store.Commit(ctx, w...)
}

func TestRewrapLosesNothingOfAnotherWriter(t *testing.T) {
	b := newRewrapBench(t, 3)
	done, err := b.rewrapper(overtaking{b.store, t, b}).Org(t.Context(), orgID, "", 1000)
	if err != nil || done.Moved != 2 || b.check(t) != 3 {
		t.Errorf("%+v, %v", done, err)
	}
}
