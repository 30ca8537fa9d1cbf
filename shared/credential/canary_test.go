package credential_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"credence/shared/credential"
	"credence/shared/envelope/kmstest"
	"credence/shared/jsontree"
	"credence/shared/probe"
	"credence/shared/secret"
	"credence/shared/secret/secrettest"
	"credence/shared/store"
	"credence/shared/store/storetest"
)

// spelt is everything that a printer can make of a value, the way down.
func spelt(v any) string {
	return fmt.Sprintf("%v\n%+v\n%#v\n%s\n%q\n%x\n%d", v, v, v, v, v, v, v)
}

// TestSecretsAppearNowhere runs every operation, good and bad, with canaries in
// each secret and in a key that the type does not know.
func TestSecretsAppearNowhere(t *testing.T) {
	canaries := []string{"c4nary-Vk3pQz9LmT7w", `qu"ote\Zk7-ünïcode-R2d`, "unknown-key-Jh5vB1xYt0"}
	w := newWorld(t)
	object := func(n int) jsontree.Node {
		return parsed(fmt.Sprintf(`{"host":"db%d.example.com","database":"d","username":"u","password":%q,"made.up":%q}`,
			n, canaries[n%2], canaries[2]))
	}
	var said []string
	note := func(values ...any) {
		for _, v := range values {
			said = append(said, spelt(v))
		}
	}
	ctx := context.Background()
	d := credential.Draft{Name: ptr("n"), Type: ptr("postgres"), Credentials: object(0)}
	v, err := w.editor.Create(ctx, w.owner, d, credential.Idempotency{Key: "0123456789abcdef", Body: object(0).Raw})
	note(v, err)
	w.must(err)
	id := v.ID
	for _, bad := range []jsontree.Node{
		parsed(fmt.Sprintf(`{"host":%q,"port":%q,"password":%q}`, canaries[0], canaries[0], canaries[0])),
		parsed(fmt.Sprintf(`{%q:1}`, canaries[0])),
		parsed(fmt.Sprintf(`[%q]`, canaries[0])),
	} {
		bd := d
		bd.Credentials = bad
		v, err := w.editor.Create(ctx, w.owner, bd, credential.Idempotency{})
		note(v, err)
		v, err = w.update(w.owner, id, credential.Draft{Credentials: bad})
		note(v, err)
		r, err := w.tester.Try(ctx, w.owner, bd)
		note(r, err)
	}
	for n := range 3 {
		v, err := w.update(w.owner, id, credential.Draft{Credentials: object(n)})
		note(v, err)
		for _, code := range []probe.Code{probe.CodeOK, probe.CodeAuthRejected} {
			note(w.probeAs(id, code))
		}
		w.clock.advance(time.Minute)
		v, r, _, err := w.propose(w.owner, id, credential.Draft{Credentials: object(n)})
		note(v, r, err)
	}
	c, err := w.copy(w.owner, id)
	note(c, err)
	r, err := w.reveal(w.owner, id, 0)
	note(r, err) // printed, it must not show
	if !strings.Contains(r.Object.ExposeText(), canaries[2]) {
		t.Error("the secret is not revealed at all")
	}
	v, err = w.rollBack(w.owner, id, 1)
	note(v, err)
	_, err = w.reveal(w.admin, id, 0)
	note(err)
	w.kms.Inject(kmstest.Decrypt|kmstest.GenerateDataKey, kmstest.Internal)
	_, err = w.reveal(w.owner, id, 0)
	note(err)
	_, err = w.update(w.owner, id, credential.Draft{Credentials: object(1)})
	note(err)
	for nth := 1; nth < 4; nth++ {
		w.store.Plan(nth, storetest.Away, nil)
		_, err = w.tryUpdate(id, credential.Draft{Credentials: object(1)})
		note(err)
	}
	w.spoil(id)
	_, err = w.reveal(w.owner, id, 0)
	note(err)
	w.clock.advance(time.Minute)
	p, err := w.probe(w.owner, id)
	note(p, err)
	versions, reads, err := w.versions(w.owner, id)
	note(versions, reads, err)
	history, err := w.history(w.owner, id)
	note(history, err)
	log, err := w.log(w.owner, id)
	note(log, err)
	note(w.list(w.owner, credential.Query{}))
	note(w.delete(w.owner, id))

	for _, canary := range canaries {
		search := secrettest.NewSearch([]byte(canary))
		if len(search.In([]byte(spelt("before "+canary+" after")))) == 0 {
			t.Fatal("the search finds nothing")
		}
		if printed := spelt(secret.NewText(canary)); len(search.In([]byte(printed))) > 0 {
			t.Error("a secret prints itself")
		}
		for n, text := range said {
			if forms := search.In([]byte(text)); len(forms) > 0 {
				t.Errorf("answer %d shows a secret as %v", n, forms)
			}
		}
		for k, i := range w.store.Everything(t) {
			var all strings.Builder
			all.WriteString(k.Partition + "\n" + k.Sort + "\n")
			for name, value := range i.Attributes {
				all.WriteString(name + "\n")
				switch value := value.(type) {
				case []byte:
					all.Write(value)
				default:
					_, _ = fmt.Fprint(&all, value)
				}
				all.WriteString("\n")
			}
			if forms := search.In([]byte(all.String())); len(forms) > 0 {
				t.Errorf("%s %s shows a secret as %v", k.Table, k.Sort, forms)
			}
		}
	}
}

// The records lie in the vault alone, so that rights and not code keep the
// others from them.
func TestCiphertextLiesInTheVaultAlone(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.setSecret(id, postgres("b"))
	w.probeAs(id, probe.CodeOK)
	w.secretOf(id)
	vault := 0
	for k, i := range w.store.Everything(t) {
		if k.Table == store.Vault {
			vault++
			continue
		}
		for name, v := range i.Attributes {
			if b, ok := v.([]byte); ok && !strings.HasPrefix(k.Sort, "KEY#") { // the hash of a service key
				t.Errorf("%s %s holds %d bytes as %s", k.Table, k.Sort, len(b), name)
			}
		}
	}
	if vault != 2 {
		t.Errorf("%d records", vault)
	}
}
