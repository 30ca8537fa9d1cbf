package credential

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
)

// Delete destroys the credential, every version of its secret, and all that
// lists it, in one commit; its log stays. It is refused while something uses
// the credential. A second call finds nothing.
func (e Editor) Delete(ctx context.Context, who identity.Caller, l *ForChange, match Match) error {
	return e.changing(ctx, who, l, func() error { return e.delete(ctx, who, l, match) })
}

func (e Editor) delete(ctx context.Context, who identity.Caller, l *ForChange, match Match) error {
	c, _, err := e.open(ctx, who, &l.ForRead, access.Delete)
	if err != nil {
		return err
	}
	if !match.holds(c.Version) {
		return stale(c.ID)
	}
	own, err := e.Store.Range(ctx, store.Range{Table: store.Meta, Partition: ownPartition(c.Org, c.ID)})
	if err != nil {
		return err
	}
	if c.References > 0 {
		return inUse(c, own.Items)
	}
	writes, err := e.writes(&change{
		who: who, before: c, head: l.head, event: audit.Destroyed,
		fields: map[string]audit.Change{"name": {c.Name, nil}}, summary: []string{"destroyed"},
	})
	if err != nil {
		return err
	}
	belongings := removals(c, own.Items)
	room := min(len(belongings), store.MaxWritesPerCommit-len(writes))
	if err := e.Store.Commit(ctx, append(writes, belongings[:room]...)...); err != nil {
		return err
	}
	e.sweep(ctx, c)
	return nil
}

// sweep removes what the commit did not: what it could not hold, and what was
// written between its read and it, such as the note of a last read. The
// credential is gone by now, so nothing is written any more. What stays behind
// names no secret, is never reached again, since ids are not reused, and mostly
// expires: so a failure changes nothing of the answer.
func (e Editor) sweep(ctx context.Context, c Credential) {
	left, err := e.Store.Range(ctx, store.Range{Table: store.Meta, Partition: ownPartition(c.Org, c.ID)})
	if err != nil {
		return
	}
	for chunk := range slices.Chunk(removals(c, left.Items), store.MaxWritesPerCommit) {
		if e.Store.Commit(ctx, chunk...) != nil {
			return
		}
	}
}

// removals removes the secrets first, then the day of the last read, then what else
// belongs to the credential alone, and last what would expire by itself.
func removals(c Credential, own []store.Item) []store.Write {
	var secrets, used, rest, passing []store.Write
	for _, item := range own {
		gone := remove(item.Key, store.Always())
		if sv, ok := versionNumber(item.Key.Sort); ok {
			secrets = append(secrets, remove(secretKey(c.Org, c.ID, sv), store.Always()), gone)
		} else if strings.HasPrefix(item.Key.Sort, lastReadPrefix) && len(used) == 0 {
			used = []store.Write{remove(usedKey(c.Org, c.ID), store.Always()), gone}
		} else if item.Expires.IsZero() {
			rest = append(rest, gone)
		} else {
			passing = append(passing, gone)
		}
	}
	return slices.Concat(secrets, used, rest, passing)
}

// maxNamedUsers is how many users of a credential the refusal to delete it names.
const maxNamedUsers = 50

// inUse names what uses a credential.
func inUse(c Credential, own []store.Item) error {
	f := fault.New(fault.CodeInUse, "Data credentials in use").On(ResourceType, c.ID)
	f.References = &fault.References{DataSources: []int64{}, DataSinks: []int64{}}
	users := referencesIn(own)
	for n, r := range users {
		id, err := strconv.ParseInt(r.ID, 10, 64)
		switch {
		case err != nil:
		case r.Kind == "data_source":
			f.References.DataSources = append(f.References.DataSources, id)
		case r.Kind == "data_sink":
			f.References.DataSinks = append(f.References.DataSinks, id)
		}
		switch {
		case n < maxNamedUsers:
			f.Details = append(f.Details, fault.Detail{Code: fault.DetailInUse, Message: r.sentence()})
		case n == maxNamedUsers:
			f.Details = append(f.Details, fault.Detail{Code: fault.DetailInUse, Message: fmt.Sprintf("And %d more: GET /data_credentials/%d/referenced_by lists all.", len(users)-n, c.ID)})
		}
	}
	return f
}

// sentence names the thing that uses a credential, and how that ends.
func (r Reference) sentence() string {
	named := ""
	if r.Name != "" {
		named = fmt.Sprintf(", %q,", r.Name)
	}
	how := "Delete it, or remove it from referenced_by."
	if r.HeldBy != "" {
		how = "Delete it, or give it another credential."
	}
	return fmt.Sprintf("The %s %s%s uses the credential. %s", r.Kind, r.ID, named, how)
}
