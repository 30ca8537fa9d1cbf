package credential

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"credence/shared/audit"
	"credence/shared/envelope"
	"credence/shared/identity"
	"credence/shared/store"
)

// Inspector compares all that is stored of an organisation with itself. It writes
// nothing and needs no key. It may run beside a service that writes, and then can
// take a change that it saw half of for a fault: what it finds there, it reads
// again before it reports it.
type Inspector struct {
	Store store.Store
	// KeyIDs are the keys that secrets may be sealed under; none = any.
	KeyIDs []string
	// Keys opens each secret too, and drops it at once; nil = none is opened.
	Keys envelope.Decrypter
	// Users inspects what uses credentials and is stored beside them; nil = nothing.
	Users func(ctx context.Context, s store.Store, org int64) ([]identity.Finding, error)
}

// Inspected is how far an inspection came.
type Inspected struct {
	Users, Credentials, Secrets, References int
	AuditEntries                            int64
	Findings                                []identity.Finding
	Next                                    string // where to go on; "" = the organisation is done
}

// inspectPage is how many credentials one read brings.
const inspectPage = 25

// Org inspects up to about limit credentials of an organisation, from the cursor
// on; "" begins with its users and keys. The error is the store's, and then Next
// is where to go on. May be called again with any cursor.
func (i Inspector) Org(ctx context.Context, org int64, cursor string, limit int) (Inspected, error) {
	r := inspection{Inspector: i, org: org, done: Inspected{Next: cursor}}
	if cursor == "" {
		users, findings, err := identity.Inspect(ctx, i.Store, org)
		if err != nil {
			return r.done, err
		}
		r.done.Users, r.done.Findings = len(users), findings
		lists := []store.Range{store.Under(store.Meta, allPartition(org), rowPrefix)}
		for _, u := range users {
			own := identity.UserPartition(org, u.ID)
			lists = append(lists, store.Under(store.Meta, own, rowPrefix), store.Under(store.Meta, own, grantPrefix))
		}
		teams, err := r.all(ctx, identity.TeamsOf(org), "~")
		if err != nil {
			return Inspected{}, err
		}
		for _, row := range teams {
			t, _ := identity.DecodeTeam(row) // identity reports one that does not decode
			lists = append(lists, store.Under(store.Meta, identity.TeamPartition(org, t.ID), rowPrefix))
		}
		for _, list := range lists {
			if err := r.listedIn(ctx, list); err != nil {
				return Inspected{}, err
			}
		}
		if i.Users != nil {
			findings, err := i.Users(ctx, i.Store, org)
			if err != nil {
				return Inspected{}, err
			}
			r.done.Findings = append(r.done.Findings, findings...)
		}
	}
	for after := cursor; limit > 0; limit -= inspectPage {
		next := store.Under(store.Meta, identity.OrgPartition(org), rowPrefix)
		next.After, next.Limit = after, inspectPage
		page, err := i.Store.Range(ctx, next)
		if err != nil {
			return r.done, err
		}
		to := "~"
		if page.More {
			to = page.Items[len(page.Items)-1].Key.Sort
		}
		if err := r.page(ctx, page.Items, after, to); err != nil {
			return r.done, err
		}
		if r.done.Next = to; !page.More {
			r.done.Next = ""
			return r.done, nil
		}
		after = to
	}
	return r.done, nil
}

type inspection struct {
	Inspector
	org  int64
	done Inspected
}

func (r *inspection) found(k store.Key, remedy, problem string, args ...any) {
	r.done.Findings = append(r.done.Findings, identity.Finding{Key: k, Problem: fmt.Sprintf(problem, args...), Remedy: remedy})
}

// page inspects the credentials of one page, and the index rows and secrets whose
// numbers lie between after and to.
func (r *inspection) page(ctx context.Context, rows []store.Item, after, to string) error {
	index := store.Under(store.Meta, orgIndexPartition(r.org), rowPrefix)
	index.After = after
	listed, err := r.all(ctx, index, to)
	if err != nil {
		return err
	}
	number := func(sort string) string { return strings.Replace(sort, rowPrefix, secretPrefix, 1) + "~" }
	secrets := store.Under(store.Vault, identity.OrgPartition(r.org), secretPrefix)
	if after != "" {
		secrets.From = number(after)
	}
	if to != "~" {
		secrets.To = number(to)
	}
	sealed, err := r.all(ctx, secrets, "~")
	if err != nil {
		return err
	}
	vault := map[int64]map[int64]store.Item{}
	for _, item := range sealed {
		b, ok := secretPlace(item.Key)
		if !ok {
			r.found(item.Key, identity.RemedyRestore, "The place of a secret does not decode.")
			continue
		}
		if vault[b.Credential] == nil {
			vault[b.Credential] = map[int64]store.Item{}
		}
		vault[b.Credential][b.Version] = item
	}
	lines := map[string]store.Item{}
	for _, item := range listed {
		lines[item.Key.Sort] = item
	}
	for _, row := range rows {
		id, ok := rowID(row.Key.Sort)
		if !ok {
			r.found(row.Key, identity.RemedyRestore, "The number of a credential does not decode.")
			continue
		}
		if err := r.credential(ctx, id, row, lines[row.Key.Sort], vault[id]); err != nil {
			return err
		}
		delete(lines, row.Key.Sort)
		delete(vault, id)
	}
	return r.left(ctx, lines, vault)
}

// left reports index rows and secrets of credentials that are not there. Rows
// that were read before another request's commit are read again.
func (r *inspection) left(ctx context.Context, index map[string]store.Item, vault map[int64]map[int64]store.Item) error {
	for sort, item := range index {
		if there, err := r.there(ctx, meta(identity.OrgPartition(r.org), sort)); err != nil {
			return err
		} else if !there {
			if still, err := r.there(ctx, item.Key); err != nil {
				return err
			} else if still {
				r.found(item.Key, identity.RemedyHarmless, "The organisation's list names a credential that does not exist.")
			}
		}
	}
	for id, secrets := range vault {
		there, err := r.there(ctx, RowKey(r.org, id))
		if err != nil {
			return err
		}
		for sv, item := range secrets {
			if still, err := r.there(ctx, item.Key); err != nil {
				return err
			} else if still && !there {
				r.found(item.Key, identity.RemedyRestore, "Version %d of a secret belongs to credential %d, which does not exist.", sv, id)
			}
		}
	}
	return nil
}

// there reads whether a row exists, with a range: the admin function may query the
// vault, and may get nothing from it.
func (r *inspection) there(ctx context.Context, k store.Key) (bool, error) {
	page, err := r.Store.Range(ctx, store.Range{Table: k.Table, Partition: k.Partition, From: k.Sort, To: k.Sort, Limit: 1})
	return len(page.Items) > 0, err
}

// all reads a whole range, as far as the sort key to.
func (r *inspection) all(ctx context.Context, q store.Range, to string) ([]store.Item, error) {
	if to != "~" {
		q.To = to
	}
	q.Limit = 500
	var items []store.Item
	for {
		page, err := r.Store.Range(ctx, q)
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if !page.More {
			return items, nil
		}
		q.After = page.Items[len(page.Items)-1].Key.Sort
	}
}

// listedIn inspects a list of credentials: each row belongs to a credential that is
// there, and to its owner or one of its accessors.
func (r *inspection) listedIn(ctx context.Context, list store.Range) error {
	rows, err := r.all(ctx, list, "~")
	if err != nil {
		return err
	}
	for _, row := range rows {
		_, number, _ := strings.Cut(row.Key.Sort, "#")
		id, ok := store.Numbered(number, "")
		items, err := r.Store.Get(ctx, RowKey(r.org, id), accessorsKey(r.org, id), row.Key)
		if err != nil {
			return err
		}
		c, _, err := decode(r.org, id, items[0])
		if err == nil {
			err = c.takeAccessors(items[1])
		}
		belongs := slices.ContainsFunc(index(c), func(i store.Item) bool { return i.Key == row.Key })
		if items[2].Found() && (!ok || err != nil || !belongs) {
			r.found(row.Key, identity.RemedyHarmless, "A list names credential %d, which does not exist or does not belong into it.", id)
		}
	}
	return nil
}

// credential inspects one credential twice if the first look finds something that
// a commit in between may explain.
func (r *inspection) credential(ctx context.Context, id int64, row, listed store.Item, vault map[int64]store.Item) error {
	r.done.Credentials++
	for again := false; ; again = true {
		look := inspection{Inspector: r.Inspector, org: r.org}
		if err := look.one(ctx, id, row, listed, vault); err != nil {
			return err
		}
		if len(look.done.Findings) == 0 || again {
			r.done.Secrets += look.done.Secrets
			r.done.References += look.done.References
			r.done.AuditEntries += look.done.AuditEntries
			r.done.Findings = append(r.done.Findings, look.done.Findings...)
			return nil
		}
		items, err := r.Store.Get(ctx, RowKey(r.org, id), orgIndexKey(r.org, id))
		if err != nil {
			return err
		}
		if row, listed = items[0], items[1]; !row.Found() {
			return nil // deleted meanwhile
		}
		sealed, err := r.all(ctx, store.Range{Table: store.Vault, Partition: identity.OrgPartition(r.org), From: secretKey(r.org, id, 0).Sort, To: secretKey(r.org, id, 1<<53).Sort}, "~")
		if err != nil {
			return err
		}
		vault = map[int64]store.Item{}
		for _, item := range sealed {
			if b, ok := secretPlace(item.Key); ok {
				vault[b.Version] = item
			}
		}
	}
}

func (r *inspection) one(ctx context.Context, id int64, row, listed store.Item, vault map[int64]store.Item) error {
	c, _, err := decode(r.org, id, row)
	if err != nil || c.Owner == 0 || c.Type == "" {
		r.found(row.Key, identity.RemedyRestore, "The row of credential %d does not decode.", id)
		return nil
	}
	if listed.Attributes.Int("owner") != c.Owner {
		r.found(orgIndexKey(r.org, id), identity.RemedyRestore, "The organisation's list does not name credential %d with its owner.", id)
	}
	if err := r.lists(ctx, c, row.Key); err != nil {
		return err
	}
	if err := r.own(ctx, c, vault); err != nil {
		return err
	}
	return r.log(ctx, c)
}

// lists inspects the owner, the accessors and the index rows of a credential.
func (r *inspection) lists(ctx context.Context, c Credential, row store.Key) error {
	items, err := r.Store.Get(ctx, identity.UserKey(c.Org, c.Owner), accessorsKey(c.Org, c.ID))
	if err != nil {
		return err
	}
	if !items[0].Found() {
		r.found(identity.UserKey(c.Org, c.Owner), identity.RemedyRestore, "The owner of credential %d does not exist.", c.ID)
	}
	if err := c.takeAccessors(items[1]); err != nil || c.torn {
		r.found(row, identity.RemedyRestore, "The accessors of credential %d are not those of its row.", c.ID)
		return nil
	}
	indexed := index(c)
	keys := make([]store.Key, len(indexed))
	for n, i := range indexed {
		keys[n] = i.Key
	}
	if items, err = r.Store.Get(ctx, keys...); err != nil {
		return err
	}
	for n, item := range items {
		if a := item.Attributes; !item.Found() || a.Text("role") != indexed[n].Attributes.Text("role") {
			r.found(keys[n], identity.RemedyRestore, unlisted(c, keys[n]), c.ID)
		}
	}
	return nil
}

// unlisted describes an index row that is missing or wrong.
func unlisted(c Credential, k store.Key) string {
	switch {
	case k == userIndexKey(c.Org, c.Owner, c.ID):
		return "The list of its owner does not name credential %d."
	case strings.HasPrefix(k.Partition, "DUE#"):
		return "Credential %d is not in the schedule of its probes."
	}
	return "A list of what is shared does not name credential %d."
}

// own inspects the rows that belong to one credential alone, and its secrets.
func (r *inspection) own(ctx context.Context, c Credential, vault map[int64]store.Item) error {
	rows, err := r.all(ctx, store.Range{Table: store.Meta, Partition: ownPartition(c.Org, c.ID)}, "~")
	if err != nil {
		return err
	}
	references, known := int64(0), map[int64]Version{}
	for _, item := range rows {
		kind, _, _ := strings.Cut(item.Key.Sort, "#")
		switch kind {
		case "REF":
			references++
			if err := r.holder(ctx, c, item); err != nil {
				return err
			}
		case "VER":
			v, err := decodeVersion(item)
			if err != nil {
				r.found(item.Key, identity.RemedyRestore, "What is known of a version of credential %d does not decode.", c.ID)
				continue
			}
			known[v.Number] = v
		}
	}
	r.done.References += int(references)
	row := RowKey(c.Org, c.ID)
	if references != c.References {
		r.found(row, identity.RemedyRestore, "Credential %d counts %d uses, and %d are stored.", c.ID, c.References, references)
	}
	if _, ok := known[c.SecretVersion]; !ok {
		r.found(row, identity.RemedyRestore, "Credential %d is at version %d of its secret, which does not exist.", c.ID, c.SecretVersion)
	}
	for sv, v := range known {
		if sv > c.LastSecret {
			r.found(versionKey(c.Org, c.ID, sv), identity.RemedyRestore, "Version %d of credential %d is newer than its newest, %d.", sv, c.ID, c.LastSecret)
		}
		if _, ok := vault[sv]; !ok {
			r.found(secretKey(c.Org, c.ID, sv), identity.RemedyRestore, "Version %d of the secret of credential %d is gone.", sv, c.ID)
			continue
		}
		if err := r.secret(ctx, c, v, vault[sv]); err != nil {
			return err
		}
	}
	for sv, item := range vault {
		if _, ok := known[sv]; !ok {
			r.found(item.Key, identity.RemedyRestore, "Nothing is known of version %d of the secret of credential %d.", sv, c.ID)
		}
	}
	return nil
}

// holder inspects the row that a reference names as its holder.
func (r *inspection) holder(ctx context.Context, c Credential, reference store.Item) error {
	row := reference.Attributes.Text("held")
	if row == "" {
		return nil
	}
	there, err := r.there(ctx, meta(identity.OrgPartition(c.Org), row))
	if err == nil && !there {
		r.found(reference.Key, identity.RemedyRestore, "A data source or sink uses credential %d and does not exist.", c.ID)
	}
	return err
}

// secret inspects a sealed record from outside and, where Keys are given, opens it.
func (r *inspection) secret(ctx context.Context, c Credential, v Version, item store.Item) error {
	r.done.Secrets++
	record := decodeSecret(item)
	if err := envelope.Check(record); err != nil {
		r.found(item.Key, identity.RemedyRestore, "Version %d of the secret of credential %d is no sealed record.", v.Number, c.ID)
		return nil
	}
	if len(r.KeyIDs) > 0 && !slices.Contains(r.KeyIDs, record.KeyID) {
		r.found(item.Key, "Put the key file of that key back, or restore a backup.",
			"Version %d of the secret of credential %d is sealed under the key %q, which is not this store's.", v.Number, c.ID, record.KeyID)
		return nil
	}
	if r.Keys == nil {
		return nil
	}
	c.Type = v.Type
	_, err := envelope.Open(ctx, r.Keys, binding(c, v.Number), record)
	if errors.Is(err, envelope.ErrOpen) {
		r.found(item.Key, identity.RemedyRestore, "Version %d of the secret of credential %d does not open.", v.Number, c.ID)
		return nil
	}
	return err
}

// log verifies the credential's audit log.
func (r *inspection) log(ctx context.Context, c Credential) error {
	report, err := audit.Verify(ctx, r.Store, c.Org, c.ID)
	if err != nil {
		return err
	}
	r.done.AuditEntries += report.Changes + report.Observations
	if report.Changes == 0 && len(report.Faults) == 0 {
		r.found(audit.HeadKey(c.Org, c.ID), identity.RemedyRestore, "The audit log of credential %d does not have its first entry.", c.ID)
	}
	for _, f := range report.Faults {
		r.found(f.Key, identity.RemedyRestore, "The audit log of credential %d: %s", c.ID, f.Message)
	}
	return nil
}
