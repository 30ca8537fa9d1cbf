package credential_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
)

// held is the model of one credential: its owner and its grants, and of the people: who
// is in which team.
type held struct {
	owner  int64
	grants map[string]grant // by kind and id
}

type grant struct {
	kind    credential.Grantee
	id      int64
	role    access.Role
	expires time.Time
}

func (h held) role(who identity.Caller, now time.Time) access.Role {
	if h.owner == who.User.ID {
		return access.Owner
	}
	if who.User.Admin {
		return access.Admin
	}
	best := access.None
	for _, g := range h.grants {
		reached := g.kind == credential.ToUser && g.id == who.User.ID || g.kind == credential.ToOrg || g.kind == credential.ToTeam && slices.Contains(who.Teams, g.id)
		if reached && (g.expires.IsZero() || now.Before(g.expires)) {
			best = max(best, g.role)
		}
	}
	return best
}

// TestSharingAgainstModel makes random grants, removals, memberships, transfers and
// moves of the clock, and compares role, list and totals of every person after each
// with the model.
func TestSharingAgainstModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w, r := newWorld(t), rand.New(rand.NewPCG(seed, 7))
			people := []*identity.Caller{&w.owner, &w.member, &w.heir, &w.admin}
			var teams []identity.Team
			for _, name := range []string{"one", "two"} {
				team, err := w.people.CreateTeam(t.Context(), w.owner, identity.TeamDraft{Name: &name})
				w.must(err)
				teams = append(teams, team)
			}
			model := map[int64]*held{}
			for range 3 {
				model[w.create(w.owner).ID] = &held{w.owner.User.ID, map[string]grant{}}
			}
			for range 60 {
				w.shareStep(r, people, teams, model)
				w.compareShares(people, model)
			}
		})
	}
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// shareStep makes one random change in the world and in the model.
func (w *world) shareStep(r *rand.Rand, people []*identity.Caller, teams []identity.Team, model map[int64]*held) {
	w.Helper()
	ids := make([]int64, 0, len(model))
	for id := range model {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	id := pick(r, ids)
	h := model[id]
	actor := *people[slices.IndexFunc(people, func(p *identity.Caller) bool { return p.User.ID == h.owner })]
	g := grant{kind: pick(r, []credential.Grantee{credential.ToUser, credential.ToTeam, credential.ToOrg}), id: w.owner.Org.ID}
	switch g.kind {
	case credential.ToUser:
		g.id = pick(r, people).User.ID
	case credential.ToTeam:
		g.id = pick(r, teams).ID
	}
	g.role = pick(r, []access.Role{access.Collaborator, access.Operator, access.Admin})
	if r.IntN(3) == 0 {
		g.expires = w.clock.peek().Add(time.Duration(1+r.IntN(300)) * time.Second).UTC().Truncate(time.Millisecond)
	}
	key := fmt.Sprint(g.kind, g.id)
	sent := []credential.Grant{{Kind: g.kind, ID: g.id, Role: g.role, Expires: g.expires}}
	share := func(how credential.Sharing) {
		_, err := w.service.Share(context.Background(), actor, load[credential.ForChange](w, actor, id), how, sent)
		w.must(err)
	}
	switch n := r.IntN(10); {
	case n < 4:
		share(credential.Add)
		h.grants[key] = g
	case n < 5:
		share(credential.Replace)
		h.grants = map[string]grant{key: g}
	case n < 6:
		share(credential.Remove)
		delete(h.grants, key)
	case n < 8: // joins or leaves a team
		p, team := pick(r, people), pick(r, teams).ID
		if at := slices.Index(p.Teams, team); at >= 0 {
			p.Teams = slices.Delete(slices.Clone(p.Teams), at, at+1)
		} else {
			p.Teams = append(slices.Clone(p.Teams), team)
		}
	case n < 9:
		w.clock.advance(time.Duration(r.IntN(200)) * time.Second)
	default:
		to := pick(r, people).User.ID
		_, err := w.editor.Update(context.Background(), actor, load[credential.ForChange](w, actor, id), credential.Draft{Owner: &to})
		w.must(err)
		if to != h.owner {
			h.owner = to
			delete(h.grants, fmt.Sprint(credential.ToUser, to))
		}
	}
}

// compareShares compares what each person may see with the model.
func (w *world) compareShares(people []*identity.Caller, model map[int64]*held) {
	w.Helper()
	now := w.clock.peek()
	for _, p := range people {
		for id, h := range model {
			v, err := w.service.Get(context.Background(), *p, load[credential.ForRead](w, *p, id))
			if want := h.role(*p, now); v.Role != want || (want == access.None) != fault.Is(err, fault.CodeNotFound) {
				w.Fatalf("%s holds %q on %d, want %q: %v", p.User.Email, v.Role, id, want, err)
			}
		}
		for _, least := range []access.Role{access.Collaborator, access.Operator, access.Admin, access.Owner} {
			want := 0
			for _, h := range model {
				if h.role(*p, now) >= least {
					want++
				}
			}
			if views, total := w.list(*p, credential.Query{Filter: credential.Filter{Least: least}}); len(views) != want || total != want {
				w.Fatalf("%s lists %d of %d with %s, want %d", p.User.Email, len(views), total, least, want)
			}
		}
	}
	w.check()
}

// TestInspectSharing: what sharing leaves is without findings, and each row of it that
// is missing is found.
func TestInspectSharing(t *testing.T) {
	w := newWorld(t)
	name := "readers"
	team, err := w.people.CreateTeam(t.Context(), w.owner, identity.TeamDraft{Name: &name})
	w.must(err)
	id := w.create(w.owner).ID
	_, err = w.service.Share(t.Context(), w.owner, load[credential.ForChange](w, w.owner, id), credential.Add, []credential.Grant{
		{Kind: credential.ToUser, ID: w.member.User.ID, Role: access.Operator}, {Kind: credential.ToTeam, ID: team.ID, Role: access.Admin}, {Kind: credential.ToOrg, ID: w.owner.Org.ID, Role: access.Collaborator},
	})
	w.must(err)
	inspect := func() []identity.Finding {
		done, err := credential.Inspector{Store: w.store}.Org(t.Context(), w.owner.Org.ID, "", 100)
		w.must(err)
		return done.Findings
	}
	if found := inspect(); len(found) > 0 {
		t.Fatalf("findings: %v", found)
	}
	removed := 0
	for k, item := range w.store.Everything(t) {
		if lists := strings.HasSuffix(k.Partition, "#ALL") || strings.Contains(k.Partition, "#T#") || strings.Contains(k.Partition, "#U#") && (strings.HasPrefix(k.Sort, "CRED#") || strings.HasPrefix(k.Sort, "GRANT#")); !lists && k.Sort != "ACL" {
			continue
		}
		removed++
		w.must(w.store.Commit(t.Context(), store.Write{Verb: store.Delete, Item: store.Item{Key: k}, If: store.Always()}))
		if len(inspect()) == 0 {
			t.Errorf("without %s %s nothing is found", k.Partition, k.Sort)
		}
		w.must(w.store.Commit(t.Context(), store.Write{Verb: store.Put, Item: item, If: store.Always()}))
	}
	if removed != 5 {
		t.Errorf("%d rows were removed, want the accessors and four lists", removed)
	}
}
