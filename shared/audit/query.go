package audit

import (
	"slices"
	"time"

	"credence/shared/id"
)

// Query selects entries of one log and a page of them.
type Query struct {
	Org        int64
	Credential int64     // 0 = the organisation's own log: sign-ins, denials, keys, users
	From, To   time.Time // From inclusive, To exclusive; zero = open; an organisation's log requires To
	Filter

	Limit int   // at most so many entries, from 1
	Skip  int   // leave out so many of the newest entries first
	After int64 // only entries older than the one with this id, or newer with Newer; 0 = all
	Newer bool  // the page that ends just before After, instead of the one behind it
}

// Filter restricts a query to some entries. Each part that is set must hold.
type Filter struct {
	Events  []Event  // one of these; none = all
	Without []Event  // none of these
	Changed []string // one of these fields was changed
	Kept    []string // none of these fields was changed
}

// SecretReplaced is the first line of the summary of a change that replaces the
// secret, whose fields object_changes must not contain.
const SecretReplaced = "credentials replaced"

// event reports whether the filter admits an event.
func (f Filter) event(e Event) bool {
	return (len(f.Events) == 0 || slices.Contains(f.Events, e)) && !slices.Contains(f.Without, e)
}

// fields reports whether the filter admits the changed fields of an entry.
func (f Filter) fields(e Entry) bool {
	changed := func(name string) bool {
		_, ok := e.Changes[name]
		return ok || name == "credentials" && slices.Contains(e.Summary, SecretReplaced)
	}
	return (len(f.Changed) == 0 || slices.ContainsFunc(f.Changed, changed)) && !slices.ContainsFunc(f.Kept, changed)
}

// byFields reports whether the filter depends on the changed fields.
func (f Filter) byFields() bool { return len(f.Changed)+len(f.Kept) > 0 }

// span returns the lowest and the highest id that the query admits.
func (q Query) span() (low, high int64) {
	low, high = id.First(q.From), id.Max
	if !q.To.IsZero() {
		high = id.First(q.To) - 1
	}
	switch {
	case q.After == 0:
	case q.Newer:
		low = max(low, q.After+1)
	default:
		high = min(high, q.After-1)
	}
	return low, high
}
