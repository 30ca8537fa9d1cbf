package admin

import (
	"context"
	"fmt"
	"time"

	"credence/shared/api/auditlog"
	"credence/shared/audit"
	"credence/shared/fault"
	"credence/shared/identity"
)

// The bounds of the entries of one Audit.
const (
	auditLimit    = 100
	maxAuditLimit = 1000
)

// maxAuditDays is the longest setting of SetOrg: a hundred years.
const maxAuditDays = 36500

// audit reads a page of an organisation's log, newest entry first. Without From
// and To it is that of the last 30 days.
func (a API) audit(ctx context.Context, operator identity.Caller, c Command) (Reply, error) {
	now := time.Now()
	q := audit.Query{Limit: c.Limit, After: c.After}
	var err error
	if q.Filter, err = auditlog.Events(c.Events, auditlog.OrgEvents()); err != nil {
		return Reply{}, fault.New(fault.CodeInvalidRequest, "Each event must be "+err.Error())
	}
	if q.Limit == 0 {
		q.Limit = auditLimit
	}
	if q.Limit < 1 || q.Limit > maxAuditLimit {
		return Reply{}, fault.New(fault.CodeInvalidRequest, fmt.Sprintf("The limit must be 1 to %d.", maxAuditLimit))
	}
	if q.From, q.To, err = days(c.From, c.To); err != nil {
		return Reply{}, err
	}
	if c.From == "" && c.To == "" {
		q.From = now.Add(-auditlog.Span)
	}
	page, err := audit.ReadDays(ctx, a.Store, operator.Org.ID, q, now)
	if err != nil {
		return Reply{}, err
	}
	r := Reply{Entries: each(page.Entries, auditlog.Of)}
	if page.Older {
		r.Next = page.Oldest
	}
	return r, nil
}

// days reads the first and the last day of a span; the end is the one behind.
func days(first, last string) (from, to time.Time, err error) {
	if first != "" {
		from, err = time.Parse(time.DateOnly, first)
	}
	if last != "" && err == nil {
		to, err = time.Parse(time.DateOnly, last)
		to = to.AddDate(0, 0, 1)
	}
	switch {
	case err != nil:
		err = fault.New(fault.CodeInvalidRequest, "Give from and to as days, such as 2026-01-31.")
	case last != "" && !from.Before(to):
		err = fault.New(fault.CodeInvalidRequest, "The day from is after the day to. Exchange them.")
	}
	return from, to, err
}

// setOrg changes the settings of an organisation.
func (a API) setOrg(ctx context.Context, operator identity.Caller, c Command) (Reply, error) {
	if c.AuditDays < 1 || c.AuditDays > maxAuditDays {
		return Reply{}, fault.New(fault.CodeInvalidRequest, fmt.Sprintf(
			"Give the days that audit entries are kept, 1 to %d. Changes of credentials are always kept.", maxAuditDays))
	}
	org, err := a.Identity.KeepAudit(ctx, operator, c.AuditDays)
	if err != nil {
		return Reply{}, err
	}
	return Reply{Orgs: []OrgReply{orgReply(org)}}, nil
}
