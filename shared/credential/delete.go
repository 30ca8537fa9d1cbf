package credential

import (
	"context"
	"fmt"
	"strings"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
)

// Delete destroys the credential, every version of its secret, and all that
// lists it, in one commit; its log stays. It is refused while something uses
// the credential. read is what ChangeReads named. A second call finds nothing.
func (e Editor) Delete(ctx context.Context, who identity.Caller, id int64, read []store.Item, match Match) error {
	for attempt := 0; ; attempt++ {
		err := e.delete(ctx, who, id, read, match)
		if err == nil {
			return nil
		}
		retry, err := again(err, attempt)
		if !retry {
			return err
		}
		if read, err = e.Store.Get(ctx, ChangeReads(who.Org.ID, id)...); err != nil {
			return err
		}
	}
}

func (e Editor) delete(ctx context.Context, who identity.Caller, id int64, read []store.Item, match Match) error {
	c, _, err := e.open(ctx, who, id, read[0], access.Delete)
	if err != nil {
		return err
	}
	if !match.holds(c.Version) {
		return stale(id)
	}
	own, err := e.Store.Range(ctx, store.Range{Table: store.Meta, Partition: ownPartition(c.Org, id)})
	if err != nil {
		return err
	}
	if c.References > 0 {
		return inUse(c, own.Items)
	}
	head := audit.DecodeHead(read[1])
	entry := e.entry(who, c, audit.Destroyed)
	entry.Summary = []string{"destroyed"}
	entry.Changes = map[string]audit.Change{"name": {c.Name, nil}}
	if entry.OwnerEmail == "" {
		entry.OwnerEmail = head.OwnerEmail
	}
	trail, err := audit.Record(head, entry, true)
	if err != nil {
		return err
	}
	writes := []store.Write{
		remove(rowKey(c.Org, id), store.Equal("rev", c.rev)),
		remove(orgIndexKey(c.Org, id), store.Always()),
		remove(userIndexKey(c.Org, c.Owner, id), store.Always()),
	}
	if due, ok := dueKey(c.Org, id, c.Interval); ok {
		writes = append(writes, remove(due, store.Always()))
	}
	writes = append(writes, trail...)
	return e.Store.Commit(ctx, append(writes, removals(c, own.Items, store.MaxWritesPerCommit-len(writes))...)...)
}

// removals removes the secrets first and then what else belongs to the
// credential alone, within what a commit still holds. What is left over names
// no secret and is never reached again, since ids are not reused.
func removals(c Credential, own []store.Item, room int) []store.Write {
	var secrets, rest []store.Write
	for _, item := range own {
		var sv int64
		if _, err := fmt.Sscanf(item.Key.Sort, "VER#%d", &sv); err == nil {
			secrets = append(secrets, remove(secretKey(c.Org, c.ID, sv), store.Always()), remove(item.Key, store.Always()))
			continue
		}
		rest = append(rest, remove(item.Key, store.Always()))
	}
	all := append(secrets, rest...)
	return all[:min(len(all), room)]
}

func inUse(c Credential, own []store.Item) error {
	f := fault.New(fault.CodeInUse, "Data credentials in use").On(ResourceType, c.ID)
	f.References = &fault.References{DataSources: []int64{}, DataSinks: []int64{}}
	for _, item := range own {
		var id int64
		switch {
		case strings.HasPrefix(item.Key.Sort, "REF#data_source#"):
			if _, err := fmt.Sscanf(item.Key.Sort, "REF#data_source#%d", &id); err == nil {
				f.References.DataSources = append(f.References.DataSources, id)
			}
		case strings.HasPrefix(item.Key.Sort, "REF#data_sink#"):
			if _, err := fmt.Sscanf(item.Key.Sort, "REF#data_sink#%d", &id); err == nil {
				f.References.DataSinks = append(f.References.DataSinks, id)
			}
		}
	}
	return f
}
