package audit

import (
	"context"
	"fmt"
	"slices"
	"time"

	"credence/shared/id"
	"credence/shared/store"
)

// Query asks for entries of one credential's log.
type Query struct {
	Org, Credential int64
	From, To        time.Time // From inclusive, To exclusive; zero = open
	Events          []Event   // none = all
}

// Read returns the entries of a credential, newest first. It reads all of the
// span asked: callers page over what it returns.
func Read(ctx context.Context, s store.Store, q Query) ([]Entry, error) {
	r := store.Range{
		Table: store.Audit, Partition: credentialPartition(q.Org, q.Credential),
		From: prefix, To: prefix + "~", Descending: true,
	}
	if !q.From.IsZero() {
		r.From = fmt.Sprintf("%s%016d", prefix, id.First(q.From))
	}
	if !q.To.IsZero() {
		r.To = fmt.Sprintf("%s%016d", prefix, id.First(q.To)-1)
	}
	if r.From > r.To {
		return []Entry{}, nil
	}
	page, err := s.Range(ctx, r)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(page.Items))
	for _, item := range page.Items {
		e, err := Decode(item)
		if err != nil {
			return nil, err
		}
		if len(q.Events) == 0 || slices.Contains(q.Events, e.Event) {
			entries = append(entries, e)
		}
	}
	return entries, nil
}
