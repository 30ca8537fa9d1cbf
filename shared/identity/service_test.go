package identity_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
	"credence/shared/store/embedded"
	"credence/shared/store/storetest"
)

// world is an organisation with an admin and a member on a store of its own.
// Its clock stands still until it is moved.
type world struct {
	*identity.Service
	t             *testing.T
	store         *recorder
	faulty        *storetest.Faulty // below store
	mu            sync.Mutex
	time          time.Time
	org           identity.Org
	admin, member identity.User
	firstText     string          // of the admin's first key
	read          map[string]bool // entries of the journal that journal returned
}

// recorder counts calls and can fail them or run something before a commit.
type recorder struct {
	store.Store
	mu            sync.Mutex
	gets, commits int
	before        func()
	fail          error
}

func (r *recorder) Get(ctx context.Context, keys ...store.Key) ([]store.Item, error) {
	r.mu.Lock()
	r.gets++
	r.mu.Unlock()
	return r.Store.Get(ctx, keys...)
}

func (r *recorder) Commit(ctx context.Context, writes ...store.Write) error {
	r.mu.Lock()
	r.commits++
	before, fail := r.before, r.fail
	r.before = nil
	r.mu.Unlock()
	if before != nil {
		before()
	}
	if fail != nil {
		return fail
	}
	return r.Store.Commit(ctx, writes...)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOver(t, func(now func() time.Time) store.Store {
		s, err := embedded.Open(t.TempDir(), embedded.WithClock(now))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

// newWorldOver is newWorld over the store that open makes.
func newWorldOver(t *testing.T, open func(now func() time.Time) store.Store) *world {
	t.Helper()
	w := &world{t: t, read: map[string]bool{}, time: time.Date(2026, 3, 4, 5, 6, 7, 891_000_000, time.UTC)}
	now := func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.time }
	w.faulty = storetest.NewFaulty(open(now))
	w.store = &recorder{Store: w.faulty}
	w.Service = identity.New(w.store, audit.Journal{}, now)
	first := must(w.CreateOrg(t.Context(), identity.Org{Name: "Acme", EmailDomain: "Acme.example"}, identity.User{Email: "admin@acme.example", FullName: "Ada"}, false))(t)
	w.org, w.admin, w.firstText = first.Org, first.User, first.Text
	w.member = must(w.CreateUser(t.Context(), w.org, identity.User{Email: "member@acme.example", FullName: "Mo"}))(t).User
	w.journal()
	w.move(time.Millisecond) // entries of one millisecond come in no order
	return w
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func must2[T, U any](v T, _ U, err error) func(*testing.T) T { return must(v, err) }

func (w *world) move(d time.Duration) { w.mu.Lock(); w.time = w.time.Add(d); w.mu.Unlock() }

// rootKey makes a key as the operator does, with every scope.
func (w *world) rootKey(u identity.User) (identity.Key, string) {
	w.t.Helper()
	name := "root"
	k, text, err := w.CreateKey(w.t.Context(), identity.Operator(w.org), identity.Draft{Name: &name, OwnerID: &u.ID, Scopes: access.Scopes})
	if err != nil {
		w.t.Fatal(err)
	}
	return k, text
}

var from = identity.Origin{IP: "192.0.2.1", UserAgent: "test", URL: "/token", RequestID: "r"}

func (w *world) signIn(text string) identity.Session {
	w.t.Helper()
	return must(w.SignIn(w.t.Context(), text, from))(w.t)
}

func (w *world) caller(u identity.User) identity.Caller {
	w.t.Helper()
	_, text := w.rootKey(u)
	return w.signIn(text).Caller
}

func (w *world) signedIn(token string) bool {
	w.t.Helper()
	_, err := w.Authenticate(w.t.Context(), token, from, nil)
	if err != nil && !fault.Is(err, fault.CodeUnauthenticated) {
		w.t.Fatal(err)
	}
	return err == nil
}

// journal returns the events that the day's journal has gained since the last
// call, in the order of their ids.
func (w *world) journal() []string {
	w.t.Helper()
	page := must(w.store.Range(w.t.Context(), store.Range{
		Table: store.Audit, Partition: fmt.Sprintf("ORG#%d#DAY#2026-03-04", w.org.ID),
	}))(w.t)
	var events []string
	for _, item := range page.Items {
		if !w.read[item.Key.Sort] {
			events = append(events, item.Attributes.Text("event"))
		}
		w.read[item.Key.Sort] = true
	}
	return events
}

func (w *world) suspend(u identity.User) {
	w.t.Helper()
	items := must(w.store.Get(w.t.Context(), identity.UserKey(w.org.ID, u.ID)))(w.t)
	items[0].Attributes["active"] = false
	if err := w.store.Commit(w.t.Context(), store.Write{Verb: store.Put, Item: items[0], If: store.Present()}); err != nil {
		w.t.Fatal(err)
	}
}

// along is a load of rows of users.
type along struct {
	users []int64
	rows  []store.Item
}

func (l *along) Keys(org int64) (keys []store.Key) {
	for _, u := range l.users {
		keys = append(keys, identity.UserKey(org, u))
	}
	return keys
}

func (l *along) Fill(rows []store.Item) { l.rows = rows }

func TestASessionSaysWhoIsThere(t *testing.T) {
	w := newWorld(t)
	k, text := w.rootKey(w.admin)
	w.move(time.Millisecond) // entries of one millisecond come in no order
	s := w.signIn(text)
	if s.ExpiresIn != 86400*time.Second || !strings.HasPrefix(s.Token, "crs_") || !strings.HasPrefix(text, identity.KeyPrefix) {
		t.Errorf("expires in %v", s.ExpiresIn)
	}
	w.store.gets = 0
	load := &along{users: []int64{w.member.ID, 1}}
	who, err := w.Authenticate(t.Context(), s.Token, from, load)
	if err != nil {
		t.Fatal(err)
	}
	if w.store.gets != 1 {
		t.Errorf("%d reads, want 1", w.store.gets)
	}
	if who.Org != w.org || who.User.ID != w.admin.ID || !who.User.Admin || who.KeyID != k.ID || who.Origin != from || !slices.Equal(who.Scopes, access.Scopes) {
		t.Errorf("signed in as %+v", who)
	}
	if len(load.rows) != 2 || load.rows[0].Key != identity.UserKey(w.org.ID, w.member.ID) || load.rows[1].Found() {
		t.Errorf("the rows read along are %+v", load.rows)
	}
	w.move(time.Millisecond)
	if err := w.Logout(t.Context(), s.Token, from); err != nil {
		t.Fatal(err)
	}
	load.rows = nil
	if _, err := w.Authenticate(t.Context(), s.Token, from, load); !fault.Is(err, fault.CodeUnauthenticated) || load.rows != nil {
		t.Errorf("after the logout %v, and %d rows", err, len(load.rows))
	}
	if got := w.journal(); !slices.Equal(got, []string{"key_created", "sign_in", "sign_out"}) {
		t.Errorf("journal %q", got)
	}
}

// TestNothingStoredSignsIn searches every item for what was shown.
func TestNothingStoredSignsIn(t *testing.T) {
	w := newWorld(t)
	_, text := w.rootKey(w.admin)
	s := w.signIn(text)
	for _, r := range []store.Range{
		{Table: store.Meta, Partition: fmt.Sprintf("ORG#%d#U#%d", w.org.ID, w.admin.ID)},
		{Table: store.Audit, Partition: fmt.Sprintf("ORG#%d#DAY#2026-03-04", w.org.ID)},
	} {
		page := must(w.store.Range(t.Context(), r))(t)
		if len(page.Items) < 3 { // two keys and their sessions; entries of as many and more
			t.Fatalf("%s holds %d items", r.Partition, len(page.Items))
		}
		for _, shown := range []string{text, s.Token} {
			parts := strings.SplitN(shown, "_", 5)
			if got := fmt.Sprintf("%+v", page.Items); strings.Contains(got, parts[4][:43]) || strings.Contains(got, parts[4][20:40]) {
				t.Error("a secret is stored")
			}
		}
	}
}

func TestWhatEndsASession(t *testing.T) {
	for name, end := range map[string]func(w *world, k identity.Key, token string) error{
		"logout": func(w *world, _ identity.Key, token string) error { return w.Logout(t.Context(), token, from) },
		"pause": func(w *world, k identity.Key, _ string) error {
			_, err := w.PauseKey(t.Context(), w.caller(w.member), k.ID)
			return err
		},
		"rotate": func(w *world, k identity.Key, _ string) error {
			_, _, err := w.RotateKey(t.Context(), w.caller(w.member), k.ID)
			return err
		},
		"delete": func(w *world, k identity.Key, _ string) error {
			return second(w.DeleteKey(t.Context(), w.caller(w.member), k.ID))
		},
		"suspend": func(w *world, _ identity.Key, _ string) error { w.suspend(w.member); return nil },
		"a day":   func(w *world, _ identity.Key, _ string) error { w.move(identity.SessionLife); return nil },
		"the key's expiry": func(w *world, k identity.Key, _ string) error {
			soon := w.time.Add(time.Hour)
			_, err := w.UpdateKey(t.Context(), w.caller(w.member), k.ID, identity.Draft{ExpiresAt: &soon})
			w.move(time.Hour)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			k, text := w.rootKey(w.member)
			_, other := w.rootKey(w.admin)
			s, bystander := w.signIn(text), w.signIn(other)
			w.move(time.Millisecond)
			if !w.signedIn(s.Token) {
				t.Fatal("the session does not live at all")
			}
			if err := end(w, k, s.Token); err != nil {
				t.Fatal(err)
			}
			if w.signedIn(s.Token) {
				t.Error("the session lives on")
			}
			if _, err := w.Refresh(t.Context(), s.Token, from); !fault.Is(err, fault.CodeUnauthenticated) {
				t.Errorf("it renews: %v", err)
			}
			if err := w.Logout(t.Context(), s.Token, from); !fault.Is(err, fault.CodeUnauthenticated) {
				t.Errorf("it signs out: %v", err)
			}
			_, err := w.SignIn(t.Context(), text, from)
			if again := err == nil; again != (name == "logout" || name == "a day") {
				t.Errorf("the key signs in afterwards: %v, %v", again, err)
			}
			if name != "a day" && !w.signedIn(bystander.Token) {
				t.Error("another user's session ended too")
			}
		})
	}
}

func TestRefreshLeavesTheOldToken(t *testing.T) {
	w := newWorld(t)
	_, text := w.rootKey(w.member)
	old := w.signIn(text)
	w.move(23 * time.Hour)
	fresh := must(w.Refresh(t.Context(), old.Token, from))(t)
	if fresh.Token == old.Token || !w.signedIn(old.Token) || !w.signedIn(fresh.Token) {
		t.Error("not two living tokens")
	}
	w.move(time.Hour)
	if w.signedIn(old.Token) || !w.signedIn(fresh.Token) {
		t.Error("the tokens do not live a day each")
	}
}

func TestRefusedSignIns(t *testing.T) {
	w := newWorld(t)
	k, text := w.rootKey(w.member)
	foreign := newWorld(t)
	_, elsewhere := foreign.rootKey(foreign.admin)
	_, old := w.rootKey(w.member)
	keys := must(w.ListKeys(t.Context(), w.caller(w.member), w.member.ID))(t)
	at := slices.IndexFunc(keys, func(x identity.Key) bool { return x.ID != k.ID && strings.Contains(old, fmt.Sprintf("_%d_", x.ID)) })
	must2(w.RotateKey(t.Context(), w.caller(w.member), keys[at].ID))(t)
	missing, gone := w.rootKey(w.member)
	must(w.DeleteKey(t.Context(), w.caller(w.member), missing.ID))(t)
	refusals := func() []store.Item {
		items := must(w.store.Range(t.Context(), store.Range{Table: store.Audit, Partition: fmt.Sprintf("ORG#%d#DAY#2026-03-04", w.org.ID)}))(t).Items
		return slices.DeleteFunc(items, func(i store.Item) bool { return i.Attributes.Text("event") != "sign_in_refused" })
	}
	for _, row := range []struct {
		name, text string
		entries    int // in the journal afterwards
	}{
		{"of another organisation", elsewhere, 0},
		{"of a deleted key", gone, 0},
		{"a session's token", w.signIn(text).Token, 0},
		{"nothing", "", 0},
		{"with a wrong letter", text[:len(text)-10] + "!" + text[len(text)-9:], 0},
		{"rotated", old, 1},
		{"rotated, again", old, 1},
		{"rotated, an hour later", old, 2},
	} {
		if strings.HasSuffix(row.name, "later") {
			w.move(time.Hour)
		}
		_, err := w.SignIn(t.Context(), row.text, from)
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != fault.CodeUnauthenticated || len(e.Details) != 0 {
			t.Errorf("%s: %v", row.name, err)
		}
		entries := refusals()
		if len(entries) != row.entries {
			t.Errorf("%s: %d entries, want %d", row.name, len(entries), row.entries)
		}
		for _, i := range entries {
			if i.Expires.IsZero() {
				t.Errorf("%s: an entry without an expiry", row.name)
			}
		}
	}
	w.move(time.Hour)
	w.store.fail = store.ErrUnavailable
	for name, text := range map[string]string{"a refusal": old, "a sign-in": text} {
		if _, err := w.SignIn(t.Context(), text, from); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s that cannot be written down: %v", name, err)
		}
	}
}

// TestATokenOnlySaysWhereToLook puts the secret of one session behind the
// numbers of another user and key: the checksum is right, the numbers exist.
func TestATokenOnlySaysWhereToLook(t *testing.T) {
	w := newWorld(t)
	mine, text := w.rootKey(w.member)
	other, _ := w.rootKey(w.member)
	theirs, _ := w.rootKey(w.admin)
	parts := strings.SplitN(w.signIn(text).Token, "_", 5)
	forge := func(org, user, key int64) string {
		body := fmt.Sprintf("crs_%d_%d_%d_%s", org, user, key, parts[4][:43])
		return body + checksumOf(body)
	}
	if !w.signedIn(forge(w.org.ID, w.member.ID, mine.ID)) {
		t.Fatal("the forger does not even rebuild the true token")
	}
	for name, token := range map[string]string{
		"another key of the user": forge(w.org.ID, w.member.ID, other.ID),
		"another user":            forge(w.org.ID, w.admin.ID, theirs.ID),
		"another organisation":    forge(w.org.ID+1, w.member.ID, mine.ID),
	} {
		if w.signedIn(token) {
			t.Errorf("%s: signed in", name)
		}
	}
}

func TestLastUseIsWrittenOnceAnHour(t *testing.T) {
	w := newWorld(t)
	k, text := w.rootKey(w.member)
	start := w.time
	for _, row := range []struct{ at, used time.Duration }{
		{0, 0},
		{10 * time.Minute, 0},
		{59 * time.Minute, 0},
		{60 * time.Minute, 60 * time.Minute},
		{119 * time.Minute, 60 * time.Minute},
		{179 * time.Minute, 179 * time.Minute},
	} {
		w.move(start.Add(row.at).Sub(w.time))
		w.signIn(text)
		got := must(w.GetKey(t.Context(), identity.Caller{Org: w.org, User: w.member}, k.ID))(t)
		if used := got.UsedAt.Sub(start); used != row.used {
			t.Errorf("at %v the last use is %v, want %v", row.at, used, row.used)
		}
	}
}
