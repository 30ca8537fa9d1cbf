package credential_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/envelope/kmstest"
	"credence/shared/fault"
	"credence/shared/probe"
)

// TestIdempotencyKeyMakesOneCopy shows that one key makes one copy, whoever wins,
// and opens the secret of the original no second time.
func TestIdempotencyKeyMakesOneCopy(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	idem := credential.Idempotency{Key: "0123456789abcdef", Body: []byte("copy of one")}
	ids := make([]int64, 8)
	for _, err := range together(len(ids), func(n int) error {
		v, err := w.copier.Copy(context.Background(), w.owner, load[credential.ForRead](w, w.owner, id), credential.CopyOptions{Idem: idem})
		ids[n] = v.ID
		return err
	}) {
		w.must(err)
	}
	if _, total := w.list(w.owner, credential.Query{}); total != 2 || len(slices.Compact(ids)) != 1 {
		t.Errorf("answered %v, %d credentials", ids, total)
	}
	kms := w.kms.Calls(kmstest.Everything)
	read := load[credential.ForRead](w, w.owner, id)
	v, err := w.copier.Copy(context.Background(), w.owner, read, credential.CopyOptions{Idem: idem})
	if w.must(err); v.ID != ids[0] || v.CopiedFrom != id || w.kms.Calls(kmstest.Everything) != kms || len(w.entries(id, audit.Copied)) != 1 {
		t.Errorf("again: %+v", v)
	}
	_, err = w.copier.Copy(context.Background(), w.owner, read, credential.CopyOptions{Idem: credential.Idempotency{Key: idem.Key, Body: []byte("copy of another")}})
	w.wantFault(err, fault.CodeIdempotencyReused)
	w.check()
}

// TestIdempotencyKeyMakesOneVersion shows that a proposal that switched is neither
// probed nor stored again, and one that did not switch may be sent again.
func TestIdempotencyKeyMakesOneVersion(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	d := credential.Draft{Credentials: postgres("second"), Idem: credential.Idempotency{Key: "0123456789abcdef", Body: []byte("second")}}
	w.prober.script(probe.CodeAuthRejected, nil)
	if _, _, switched, err := w.propose(w.owner, id, d); err != nil || switched {
		t.Fatalf("switched %v, %v", switched, err)
	}
	w.clock.advance(time.Minute)
	w.prober.script(probe.CodeOK, nil)
	first, result, switched, err := w.propose(w.owner, id, d)
	if w.must(err); !switched {
		t.Fatal("not switched")
	}
	w.prober.script(probe.CodeAuthRejected, nil)
	runs, kms := w.prober.count(), w.kmsCalls()
	again, same, switched, err := w.propose(w.owner, id, d)
	if w.must(err); !switched || again.SecretVersion != first.SecretVersion || again.Version != first.Version || w.prober.count() != runs || w.kmsCalls() != kms || same.Code != result.Code || !same.CheckedAt.Equal(result.CheckedAt) {
		t.Errorf("again: switched %v, %+v, %+v want %+v", switched, again.Credential, same, result)
	}
	d.Credentials, d.Idem.Body = postgres("third"), []byte("third")
	_, _, _, err = w.propose(w.owner, id, d)
	w.wantFault(err, fault.CodeIdempotencyReused)
	w.check()
}

func TestIdempotencyKeyMakesOneCredential(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	d, idem := w.draft(), credential.Idempotency{Key: "0123456789abcdef", Body: []byte(`{"a":"` + password + `"}`)}
	var mu sync.Mutex
	ids := map[int64]int{}
	for _, err := range together(20, func(int) error {
		v, err := w.editor.Create(ctx, w.owner, d, idem)
		mu.Lock()
		ids[v.ID]++
		mu.Unlock()
		return err
	}) {
		w.must(err)
	}
	if _, total := w.list(w.owner, credential.Query{}); len(ids) != 1 || total != 1 {
		t.Errorf("answered %v, made %d", ids, total)
	}
	kms := w.kms.Calls(kmstest.Everything)
	again, err := w.editor.Create(ctx, w.owner, d, idem)
	w.must(err)
	if first := w.now(again.ID); ids[again.ID] != 20 || again.Name != first.Name || again.Role.String() != "owner" || w.kms.Calls(kmstest.Everything) != kms {
		t.Errorf("again: %+v", again)
	}
	other := idem
	other.Body = []byte(`{}`)
	_, err = w.editor.Create(ctx, w.owner, d, other)
	w.wantFault(err, fault.CodeIdempotencyReused)
	if v, err := w.editor.Create(ctx, w.heir, d, idem); err != nil || ids[v.ID] != 0 {
		t.Errorf("another user's same key: %v", err)
	}
	w.clock.advance(24*time.Hour - time.Minute)
	if v, err := w.editor.Create(ctx, w.owner, d, idem); err != nil || ids[v.ID] == 0 {
		t.Errorf("within the day: %v", err)
	}
	w.clock.advance(2 * time.Minute)
	if v, err := w.editor.Create(ctx, w.owner, d, other); err != nil || ids[v.ID] != 0 {
		t.Errorf("after the day: %v", err)
	}
	for k, i := range w.store.Everything(t) {
		if bytes.Contains(i.Attributes.Bytes("mac"), []byte(password)) || k.Sort == idem.Key {
			t.Error("the key or the body is stored")
		}
	}
	w.check()
}
