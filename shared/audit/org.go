package audit

import (
	"context"
	"time"

	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/store"
)

// ReadOrg returns a page of an organisation's own log to an admin of it: its
// sign-ins, its denials, and what was done with its keys and users. Another
// organisation is not found. now bounds a query without To.
func ReadOrg(ctx context.Context, s store.Store, who identity.Caller, org int64, q Query, now time.Time) (Page, error) {
	if org != who.Org.ID {
		return Page{}, fault.New(fault.CodeNotFound, "There is no such organisation, or it is not yours.").On(identity.OrgResource, org)
	}
	if !who.User.Admin {
		e := By(who, Denied, now)
		e.OwnerID, e.OwnerEmail = who.User.ID, who.User.Email
		e.Subject = Subject{Type: identity.OrgResource, ID: org, Name: who.Org.Name}
		e.Summary = []string{"refused: read the audit log of the organisation"}
		if err := Deny(ctx, s, e); err != nil {
			return Page{}, err
		}
		return Page{}, fault.New(fault.CodeForbidden,
			"Only an admin of the organisation reads its audit log. Ask an admin.").On(identity.OrgResource, org)
	}
	return ReadDays(ctx, s, org, q, now)
}

// clockSkew is how far the clock of the writer of an entry may be ahead.
const clockSkew = time.Hour

// ReadDays is ReadOrg for the operator, who may read every organisation. A query
// without From goes back 400 days, which is how long entries are kept by default.
func ReadDays(ctx context.Context, s store.Store, org int64, q Query, now time.Time) (Page, error) {
	q.Org, q.Credential = org, 0
	if latest := now.Add(clockSkew); q.To.IsZero() || q.To.After(latest) {
		q.To = latest
	}
	if q.From.IsZero() {
		q.From = q.To.Add(-defaultKeep)
	}
	return Read(ctx, s, q)
}
