package audit

import (
	"cmp"
	"time"

	"credence/shared/identity"
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
