package audit

import (
	"cmp"
	"strings"
	"time"

	"credence/shared/identity"
	"credence/shared/store"
)

// DefaultDays is how long entries outside the chain of changes are kept without
// a setting of the organisation. Changes are kept for ever: each is evidence for
// the one before.
const DefaultDays = 400

const defaultKeep = DefaultDays * 24 * time.Hour

// keep returns how long an organisation keeps its observations, and the entries
// of its own log.
func keep(org identity.Org) time.Duration {
	if org.AuditDays == 0 {
		return defaultKeep
	}
	return time.Duration(org.AuditDays) * 24 * time.Hour
}

// expires returns when an entry outside the chain expires.
func (e Entry) expires() time.Time { return e.At.Add(cmp.Or(e.keep, defaultKeep)) }

// Past reports whether an item is an entry outside the chain that its organisation
// keeps no longer at an instant. Entries of earlier releases do not expire by
// themselves, and those written under a longer setting expire later.
func Past(i store.Item, org identity.Org, now time.Time) bool {
	_, chained := i.Attributes["n"]
	at := i.Attributes.Time("at")
	return i.Key.Table == store.Audit && strings.HasPrefix(i.Key.Sort, prefix) && !chained && !at.IsZero() && now.After(at.Add(keep(org)))
}
