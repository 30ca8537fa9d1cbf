// Package auditlog is the wire form of audit logs: their entries, their query
// parameters and their pages, for every route that shows one, and the route of
// an organisation's own log.
package auditlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/nearest"
	"credence/shared/store"
)

// API serves the logs of organisations.
type API struct {
	Store store.Store
	Clock func() time.Time
}

// Routes lists the family's routes.
func (a API) Routes() []httpapi.Route {
	return []httpapi.Route{{
		Pattern: "GET /orgs/{id}/audit_log", Needs: access.Read, Resource: identity.OrgResource,
		Heavy: true, Query: Parameters, Handle: a.log,
	}}
}

func (a API) log(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	org, err := r.ID("id")
	if err != nil {
		return httpapi.Answer{}, err
	}
	return Answer(r, a.Clock(), OrgEvents(), func(q audit.Query) (audit.Page, error) {
		return audit.ReadOrg(ctx, a.Store, r.Caller, org, q, a.Clock())
	})
}

// OrgEvents are the events of an organisation's log. A probe in it is that of a
// secret before it is saved.
func OrgEvents() []audit.Event {
	events := []audit.Event{audit.Denied, audit.Probed}
	for _, name := range identity.Events() {
		events = append(events, audit.Event(name))
	}
	return events
}

// Parameters are the query parameters of every log.
var Parameters = slices.Concat([]string{"from", "to", "event_filter[]", "change_filter[]"}, httpapi.PageQuery)

// Span is how much a log shows without from and to.
const Span = 30 * 24 * time.Hour

// Answer reads the query parameters of a log, reads the page that they ask for,
// and answers it. from and to are days, both included; events are the events
// that the log may hold.
func Answer(r *httpapi.Request, now time.Time, events []audit.Event, read func(audit.Query) (audit.Page, error)) (httpapi.Answer, error) {
	q := r.Query()
	paging := q.Paging()
	query := audit.Query{From: q.Date("from"), To: q.Date("to"), Filter: filter(q, events), Limit: httpapi.MaxUnpaged}
	if !query.To.IsZero() && query.From.After(query.To) {
		q.Fault("from", fault.DetailConflict, `The day "from" is after the day "to". Exchange them.`)
	}
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	if query.From.IsZero() && query.To.IsZero() {
		query.From = now.Add(-Span)
	}
	if !query.To.IsZero() {
		query.To = query.To.AddDate(0, 0, 1)
	}
	switch {
	case paging.Start != nil:
		query.Limit, query.After, query.Newer = paging.PerPage, paging.Start.ID, paging.Start.Back
	case paging.On:
		query.Limit, query.Skip = paging.PerPage, min((paging.Page-1)*paging.PerPage, audit.MaxScanned)
	}
	page, err := read(query)
	switch {
	case err != nil:
		return httpapi.Answer{}, err
	case page.TooDeep:
		q.Fault("page", fault.DetailOutOfRange, fmt.Sprintf(
			"Pages are counted through the newest %d entries only. Follow the Link header of an earlier page, or narrow from and to.", audit.MaxScanned))
		return httpapi.Answer{}, q.Err()
	case !paging.On && page.Older:
		return httpapi.Answer{}, fault.New(fault.CodePageRequired,
			"The log is too long for one answer. Ask for pages with per_page and follow the Link header, or narrow from and to.")
	}
	return feed(page).Answer(r, paging, len(page.Entries), rows(page)), nil
}

// feed marks where the neighbouring pages begin.
func feed(p audit.Page) httpapi.Feed {
	f := httpapi.Feed{Total: p.Total}
	if p.Newer && p.Newest != 0 {
		f.Before = &httpapi.Mark{ID: p.Newest}
	}
	if p.Older && p.Oldest != 0 {
		f.After = &httpapi.Mark{ID: p.Oldest}
	}
	return f
}

// filter reads event_filter and change_filter: names, of which one with a "!"
// before it excludes what it names.
func filter(q *httpapi.Query, events []audit.Event) audit.Filter {
	f, err := Events(q.Texts("event_filter", 40), events)
	if err != nil {
		q.Fault("event_filter", fault.DetailUnknown, `The parameter "event_filter" must be `+err.Error())
	}
	for _, name := range q.Texts("change_filter", 64) {
		if bare, not := strings.CutPrefix(name, "!"); not {
			f.Kept = append(f.Kept, bare)
		} else {
			f.Changed = append(f.Changed, name)
		}
	}
	return f
}

// Events returns the filter of a list of names, each of one of the events and
// with "!" before it to exclude it. The error of any other name ends a sentence
// that begins with the name of the list, such as "The parameter must be".
func Events(list []string, events []audit.Event) (audit.Filter, error) {
	var f audit.Filter
	for _, name := range list {
		bare, not := strings.CutPrefix(name, "!")
		event := audit.Event(bare)
		switch {
		case !slices.Contains(events, event):
			names := Names(events)
			return audit.Filter{}, errors.New(`one of these, or one with "!" before it to exclude it: ` +
				names + "." + nearest.Hint(nearest.To(bare, strings.Split(names, ", "), nil)))
		case not:
			f.Without = append(f.Without, event)
		default:
			f.Events = append(f.Events, event)
		}
	}
	return f, nil
}

// Names lists events for a message.
func Names(events []audit.Event) string {
	list := make([]string, len(events))
	for i, e := range events {
		list[i] = string(e)
	}
	return strings.Join(list, ", ")
}
