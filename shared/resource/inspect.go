package resource

import (
	"context"
	"fmt"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/identity"
	"credence/shared/store"
)

// inspectPage is how many resources one read returns.
const inspectPage = 500

// Inspect compares the data sources and sinks of an organisation with their owners'
// lists, with the users of their credentials, and with their audit logs. It writes
// nothing. A resource that changes while it is inspected is read again before it is
// reported. The error is the store's.
func Inspect(ctx context.Context, s store.Store, org int64) ([]identity.Finding, error) {
	var findings []identity.Finding
	for k := range kinds {
		page := store.Page{More: true}
		for ask := store.Under(store.Meta, identity.OrgPartition(org), kinds[k].prefix); page.More; {
			ask.Limit = inspectPage
			var err error
			if page, err = s.Range(ctx, ask); err != nil {
				return nil, err
			}
			for _, row := range page.Items {
				found, err := inspect(ctx, s, Kind(k), org, row)
				if err == nil && len(found) > 0 { // a commit may have come between the reads
					found, err = again(ctx, s, Kind(k), org, row)
				}
				if err != nil {
					return nil, err
				}
				findings = append(findings, found...)
				ask.After = row.Key.Sort
			}
		}
	}
	return findings, nil
}

func again(ctx context.Context, s store.Store, k Kind, org int64, row store.Item) ([]identity.Finding, error) {
	items, err := s.Get(ctx, row.Key)
	if err != nil || !items[0].Found() {
		return nil, err
	}
	return inspect(ctx, s, k, org, items[0])
}

func inspect(ctx context.Context, s store.Store, k Kind, org int64, row store.Item) ([]identity.Finding, error) {
	var findings []identity.Finding
	found := func(key store.Key, problem string, args ...any) {
		findings = append(findings, identity.Finding{Key: key, Problem: fmt.Sprintf(problem, args...), Remedy: identity.RemedyRestore})
	}
	r, _, err := decode(k, org, row)
	if err != nil {
		found(row.Key, "The row of a %s does not decode.", kinds[k].noun)
		return findings, nil
	}
	keys := []store.Key{ownerKey(r)}
	if r.Credential != 0 {
		keys = append(keys, credential.ReferenceKey(org, r.Credential, r.reference()))
	}
	items, err := s.Get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	for n, problem := range []string{"The list of its owner does not name the %s %d.", "The users of its credential do not include the %s %d."} {
		if n < len(items) && !items[n].Found() {
			found(keys[n], problem, kinds[k].noun, r.ID)
		}
	}
	report, err := audit.Verify(ctx, s, org, r.ID)
	if err != nil {
		return nil, err
	}
	if report.Changes == 0 && len(report.Faults) == 0 {
		found(audit.HeadKey(org, r.ID), "The audit log of the %s %d does not have its first entry.", kinds[k].noun, r.ID)
	}
	for _, f := range report.Faults {
		found(f.Key, "The audit log of the %s %d: %s", kinds[k].noun, r.ID, f.Message)
	}
	return findings, nil
}
