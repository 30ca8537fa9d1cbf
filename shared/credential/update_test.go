package credential_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/jsontree"
	"credence/shared/probe"
	"credence/shared/store"
	"credence/shared/store/storetest"
)

// pointers are those of a fault's details, sorted.
func pointers(err error) []string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return nil
	}
	var list []string
	for _, d := range f.Details {
		list = append(list, d.Pointer)
	}
	slices.Sort(list)
	return list
}

func TestCreateNamesAllFaultsAtOnce(t *testing.T) {
	w := newWorld(t)
	for _, row := range []struct {
		name string
		d    credential.Draft
		code fault.Code
		want []string
	}{
		{"nothing", credential.Draft{}, fault.CodeInvalidRequest, []string{"/credentials", "/credentials_type", "/name"}},
		{"empty texts", credential.Draft{Name: ptr(" "), Type: ptr(""), Credentials: postgres("p")}, fault.CodeInvalidRequest, []string{"/credentials_type", "/name"}},
		{"an unknown type", credential.Draft{Name: ptr("n"), Type: ptr("abacus"), Credentials: postgres("p")}, fault.CodeInvalidConnectorType, []string{"/credentials_type"}},
		{"an unknown type and all else", credential.Draft{
			Type: ptr("abacus"), Owner: ptr(w.heir.User.ID), Org: ptr(w.stranger.Org.ID), Interval: ptr("yearly"), Tags: ptr(make([]string, 51)),
		}, fault.CodeInvalidConnectorType, []string{"/credentials", "/credentials_type", "/name", "/org_id", "/owner_id", "/probe_interval", "/tags"}},
		{"missing fields of the type", credential.Draft{
			Name: ptr("n"), Type: ptr("postgres"), Credentials: parsed(`{"host":"h"}`), Interval: ptr("yearly"),
		}, fault.CodeInvalidRequest, []string{"/credentials/database", "/credentials/password", "/credentials/username", "/probe_interval"}},
		{"what reading the body found", credential.Draft{
			Name: ptr("n"), Type: ptr("postgres"), Credentials: postgres("p"), Owner: ptr(w.heir.User.ID),
			Faults: []fault.Detail{{Pointer: "/tags", Code: fault.DetailWrongKind}},
		}, fault.CodeInvalidRequest, []string{"/owner_id", "/tags"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w.store.Reset()
			_, err := w.editor.Create(context.Background(), w.owner, row.d, credential.Idempotency{})
			got := pointers(err)
			if row.name == "missing fields of the type" { // the connector says under which of its names
				got = slices.DeleteFunc(got, func(p string) bool { return strings.HasPrefix(p, "/credentials/database") })
				row.want = slices.DeleteFunc(row.want, func(p string) bool { return strings.HasPrefix(p, "/credentials/database") })
			}
			if !fault.Is(err, row.code) || !slices.Equal(got, row.want) {
				t.Errorf("got %v %q, want %q %q", err, pointers(err), row.code, row.want)
			}
			if c := w.store.Calls(); c.Commits != 0 {
				t.Errorf("%d commits", c.Commits)
			}
		})
	}
}

// seen is what of a view an update may change, in comparable form.
func seen(v credential.View) map[string]string {
	description := "null"
	if v.Description != nil {
		description = *v.Description
	}
	return map[string]string{
		"name": v.Name, "description": description, "type": v.Type, "format": v.Format, "tags": fmt.Sprint(v.Tags),
		"public": string(v.Public), "interval": string(v.Interval), "owner": fmt.Sprint(v.Credential.Owner),
		"secret": fmt.Sprint(v.SecretVersion), "status": v.Status, "validity": string(v.Validity),
		"verified": v.VerifiedAt.String(), "created": v.CreatedAt.String(), "probed": fmt.Sprint(v.LastProbe != nil),
	}
}

func TestUpdateChangesWhatIsSentAndNothingElse(t *testing.T) {
	w := newWorld(t)
	untested := map[string]string{
		"secret": "2", "status": "", "validity": "untested", "verified": time.Time{}.String(), "probed": "false",
	}
	with := func(more map[string]string) map[string]string {
		m := maps.Clone(untested)
		maps.Copy(m, more)
		return m
	}
	const s3Public = `{"bucket":"my-data-bucket","region":"us-east-1"}`
	for _, row := range []struct {
		name  string
		d     credential.Draft
		want  map[string]string // what differs afterwards
		event audit.Event
	}{
		{"nothing", credential.Draft{}, nil, ""},
		{"the same", credential.Draft{Name: ptr("first"), Tags: &[]string{"a", "b"}, Type: ptr("postgres"), Interval: ptr("daily"), Format: ptr("1")}, nil, ""},
		{"name", credential.Draft{Name: ptr("second")}, map[string]string{"name": "second"}, audit.Updated},
		{"description", credential.Draft{Description: &credential.Description{Text: ptr("hourly")}}, map[string]string{"description": "hourly"}, audit.Updated},
		{"null description", credential.Draft{Description: &credential.Description{}}, map[string]string{"description": "null"}, audit.Updated},
		{"tags", credential.Draft{Tags: &[]string{"c"}}, map[string]string{"tags": "[c]"}, audit.Updated},
		{"no tags", credential.Draft{Tags: &[]string{}}, map[string]string{"tags": "[]"}, audit.Updated},
		{"format", credential.Draft{Format: ptr("2")}, map[string]string{"format": "2"}, audit.Updated},
		{"hourly", credential.Draft{Interval: ptr("hourly")}, map[string]string{"interval": "hourly"}, audit.Updated},
		{"never", credential.Draft{Interval: ptr("off")}, map[string]string{"interval": "off"}, audit.Updated},
		{"owner", credential.Draft{Owner: &w.heir.User.ID}, map[string]string{"owner": fmt.Sprint(w.heir.User.ID)}, audit.Transfer},
		{
			"credentials",
			credential.Draft{Credentials: parsed(`{"host":"h.example.com","database":"d","username":"u","password":"p"}`)},
			with(map[string]string{"public": `{"database":"d","host":"h.example.com","username":"u"}`}), audit.Updated,
		},
		{"another type", credential.Draft{Type: ptr("s3"), Credentials: s3("k")}, with(map[string]string{"type": "s3", "public": s3Public}), audit.Updated},
		{"everything", credential.Draft{
			Name: ptr("n"), Description: &credential.Description{}, Tags: &[]string{"t"}, Format: ptr("3"), Interval: ptr("hourly"),
			Owner: &w.heir.User.ID, Type: ptr("s3"), Credentials: s3("k"),
		}, with(map[string]string{
			"name": "n", "description": "null", "tags": "[t]", "format": "3", "interval": "hourly",
			"owner": fmt.Sprint(w.heir.User.ID), "type": "s3", "public": s3Public,
		}), audit.Transfer},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := w.draft()
			d.Name = ptr("first")
			id := w.createFrom(w.owner, d).ID
			w.probeAs(id, probe.CodeOK)
			before := w.now(id)
			answered, err := w.update(w.owner, id, row.d)
			w.must(err)
			after := w.now(id)
			want := seen(before)
			maps.Copy(want, row.want)
			if got := seen(after); !maps.Equal(got, want) {
				t.Errorf("stored   %v\nwant     %v", got, want)
			}
			if got := seen(answered); !maps.Equal(got, want) {
				t.Errorf("answered %v\nwant     %v", got, want)
			}
			moved := int64(0)
			if row.want != nil {
				moved = 1
			}
			if after.Version != before.Version+moved || answered.Version != after.Version || after.UpdatedAt.After(before.UpdatedAt) != (moved == 1) {
				t.Errorf("version %d to %d, updated %v to %v", before.Version, after.Version, before.UpdatedAt, after.UpdatedAt)
			}
			if last := w.entries(id)[0]; row.event != "" && last.Event != row.event {
				t.Errorf("logged as %s", last.Event)
			}
			w.check()
		})
	}
}

func TestNewCredentialsReplaceTheOldWhole(t *testing.T) {
	w := newWorld(t)
	d := w.draft()
	d.Credentials = parsed(`{"host":"h.example.com","port":5432,"database":"d","username":"u","password":"p","sslmode":"require"}`)
	id := w.createFrom(w.owner, d).ID
	w.setSecret(id, parsed(`{"password":"q","username":"u","host":"h.example.com","database":"d","made_up":1.50}`))
	if got := w.secretOf(id); got != `{"database":"d","host":"h.example.com","made_up":1.50,"password":"q","username":"u"}` {
		t.Error("the object revealed is not the one sent, keys sorted")
	}
	e := w.entries(id, audit.Updated)[0]
	all := strings.Join(e.Summary, "\n")
	for _, line := range []string{"replaced database_name host password username", "removed port sslmode"} {
		if !strings.Contains(all, line) {
			t.Errorf("%q lacks %q", all, line)
		}
	}
	if strings.Contains(all, "made_up") {
		t.Error("the log names a key that the type does not know")
	}
}

func TestUpdateRefuses(t *testing.T) {
	w := newWorld(t)
	inactive := w.makeCaller(w.owner.Org, "inactive", false)
	w.deactivate(inactive)
	id := w.create(w.owner).ID
	before := w.store.Everything(t)
	for _, row := range []struct {
		name string
		who  identity.Caller
		d    credential.Draft
		code fault.Code
		want []string
	}{
		{"another type alone", w.owner, credential.Draft{Type: ptr("s3")}, fault.CodeInvalidRequest, []string{"/credentials"}},
		{"an empty type", w.owner, credential.Draft{Type: ptr(""), Credentials: postgres("p")}, fault.CodeInvalidRequest, []string{"/credentials_type"}},
		{"an unknown type", w.owner, credential.Draft{Type: ptr("abacus"), Credentials: postgres("p")}, fault.CodeInvalidConnectorType, []string{"/credentials_type"}},
		{"an empty name", w.owner, credential.Draft{Name: ptr("")}, fault.CodeInvalidRequest, []string{"/name"}},
		{"another organisation", w.owner, credential.Draft{Org: &w.stranger.Org.ID}, fault.CodeInvalidRequest, []string{"/org_id"}},
		{"an owner unknown", w.owner, credential.Draft{Owner: ptr(int64(7))}, fault.CodeInvalidRequest, []string{"/owner_id"}},
		{"an owner of another organisation", w.admin, credential.Draft{Owner: &w.stranger.User.ID}, fault.CodeInvalidRequest, []string{"/owner_id"}},
		{"an owner deactivated", w.owner, credential.Draft{Owner: &inactive.User.ID}, fault.CodeInvalidRequest, []string{"/owner_id"}},
		{
			"all of it",
			w.owner,
			credential.Draft{Name: ptr(""), Type: ptr("s3"), Org: ptr(int64(1)), Owner: ptr(int64(7)), Interval: ptr("x")},
			fault.CodeInvalidRequest,
			[]string{"/credentials", "/name", "/org_id", "/owner_id", "/probe_interval"},
		},
		{"a version gone by", w.owner, credential.Draft{Name: ptr("n"), IfMatch: credential.Match{2, 7}}, fault.CodePreconditionFailed, nil},
		{"no version", w.owner, credential.Draft{IfMatch: credential.Match{}}, fault.CodePreconditionFailed, nil},
		{"a row too large", w.owner, credential.Draft{Tags: ptr(slices.Repeat([]string{strings.Repeat("ä", 64)}, 50))}, fault.CodeInvalidRequest, []string{""}},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := w.update(row.who, id, row.d)
			if !fault.Is(err, row.code) || !slices.Equal(pointers(err), row.want) {
				t.Errorf("got %v %q, want %q %q", err, pointers(err), row.code, row.want)
			}
		})
	}
	if after := w.store.Everything(t); len(after) != len(before) || w.now(id).Version != 1 {
		t.Error("a refused update wrote something")
	}
}

func (w *world) deactivate(who identity.Caller) {
	w.Helper()
	k := identity.UserKey(who.Org.ID, who.User.ID)
	items, err := w.store.Store.Get(context.Background(), k)
	w.must(err)
	items[0].Attributes["active"] = false
	w.must(w.store.Store.Commit(context.Background(), store.Write{Verb: store.Put, Item: items[0], If: store.Present()}))
}

func TestTransferMovesEverything(t *testing.T) {
	for _, row := range []struct {
		name string
		by   func(*world) identity.Caller
		to   func(*world) identity.Caller
		role access.Role // what the answer shows
	}{
		{"by the owner", func(w *world) identity.Caller { return w.owner }, func(w *world) identity.Caller { return w.heir }, access.Owner},
		{"by an admin", func(w *world) identity.Caller { return w.admin }, func(w *world) identity.Caller { return w.heir }, access.Admin},
		{"by an admin to himself", func(w *world) identity.Caller { return w.admin }, func(w *world) identity.Caller { return w.admin }, access.Owner},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			id, by, to := w.create(w.owner).ID, row.by(w), row.to(w)
			v, err := w.update(by, id, credential.Draft{Owner: &to.User.ID})
			w.must(err)
			if v.Role != row.role || v.Owner.Email != to.User.Email {
				t.Errorf("answered as %v with owner %q", v.Role, v.Owner.Email)
			}
			_, err = w.get(w.owner, id)
			w.wantFault(err, fault.CodeNotFound)
			if _, err = w.reveal(to, id, 0); err != nil {
				t.Errorf("the new owner: %v", err)
			}
			for _, who := range []identity.Caller{w.owner, to} {
				_, total := w.list(who, credential.Query{})
				if want := map[bool]int{true: 1}[who.User.ID == to.User.ID]; total != want {
					t.Errorf("%s lists %d", who.User.Email, total)
				}
			}
			if e := w.entries(id, audit.Transfer); len(e) != 1 || e[0].OwnerEmail != to.User.Email || e[0].UserID != by.User.ID {
				t.Errorf("logged: %+v", e)
			}
			w.check()
		})
	}
}

func TestHeirMustBeActiveWhenTheTransferCommits(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.store.Plan(3, storetest.Afterwards, func() { w.deactivate(w.heir) })
	_, err := w.update(w.owner, id, credential.Draft{Owner: &w.heir.User.ID})
	if !w.store.Happened() || !slices.Equal(pointers(err), []string{"/owner_id"}) {
		t.Errorf("got %v", err)
	}
	if w.now(id).Credential.Owner != w.owner.User.ID {
		t.Error("it was given away")
	}
}

// What probes found out takes nothing of the room that a person has: one that
// is as large as can be is still changed after it was probed.
func TestProbedCredentialKeepsRoomForChanges(t *testing.T) {
	w := newWorld(t)
	w.prober.facts = map[string]string{probe.FactExpires: "2026-04-01T00:00:00Z", probe.FactCertificateEnd: "2026-05-01T00:00:00Z"}
	tags := slices.Repeat([]string{strings.Repeat("a", 64)}, 50)
	d := w.draft()
	d.Tags, d.Name = &tags, ptr("n")
	d.Description = nil
	object := func(n int) jsontree.Node {
		return parsed(`{"host":"db.example.com","database":"` + strings.Repeat("d", n) + `","username":"u","password":"` + password + `"}`)
	}
	largest := sort.Search(4096, func(n int) bool {
		d.Credentials = object(n + 2)
		_, err := w.editor.Create(t.Context(), w.owner, d, credential.Idempotency{})
		return err != nil
	}) + 1
	for _, code := range []probe.Code{probe.CodeAuthRejected, probe.CodeOK} {
		d.Credentials = object(largest)
		id := w.createFrom(w.owner, d).ID
		w.probeAs(id, code)
		if v := w.now(id); v.Ends.Secret.IsZero() || v.Ends.Certificate.IsZero() {
			t.Fatal("the probe told of no ends")
		}
		if _, err := w.update(w.owner, id, credential.Draft{Name: ptr("m")}); err != nil {
			t.Errorf("renaming after %s: %v", code, err)
		}
	}
}
