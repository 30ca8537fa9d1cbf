package credentials

import (
	"context"
	"slices"
	"strings"
	"time"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/httpapi"
)

const path = "/data_credentials/{id}"

// Reading is every read of metadata. It reaches no key service and no secret.
type Reading struct {
	Service credential.Service
	Clock   func() time.Time
}

// Routes lists the family's routes.
func (a Reading) Routes() []httpapi.Route {
	on := func(pattern string, h func(context.Context, *httpapi.Request, int64) (httpapi.Answer, error)) httpapi.Route {
		return httpapi.Route{
			Pattern: pattern, Needs: access.Read, Resource: credential.ResourceType,
			Reads: reads(credential.Reads), Handle: one(h),
		}
	}
	log := on("GET "+path+"/audit_log", a.log)
	log.Reads = reads(credential.LogReads)
	return []httpapi.Route{
		{Pattern: "GET /data_credentials", Needs: access.Read, Heavy: true, Handle: a.list},
		on("GET "+path, a.get),
		on("GET "+path+"/tags", a.tags),
		on("GET "+path+"/versions", a.versions),
		on("GET "+path+"/probe/history", a.history),
		on("GET "+path+"/referenced_by", a.referencedBy),
		on("GET "+path+"/usage", a.usage),
		log,
	}
}

func (a Reading) wire() wire { return wire{a.Service.Types} }

// mostDays is how far ahead the list looks for what expires.
const mostDays = 3650

func (a Reading) list(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	q := r.Query()
	paging := q.Paging()
	least, _ := access.ParseRole(q.Enum("access_role", "owner", "collaborator", "operator", "admin", "administrator", "owner"))
	query := credential.Query{
		Filter: credential.Filter{
			Least:    least,
			Validity: credential.Validity(q.Enum("validity", "", "valid", "invalid", "unknown", "untested")),
			Tags:     q.Texts("tags", credential.MaxTagRunes),
		},
		Order:     credential.Order(q.Enum("sort_by", "created_at", "created_at", "updated_at", "name", "id")),
		Ascending: strings.EqualFold(q.Enum("sort_order", "DESC", "DESC", "ASC", "desc", "asc"), "ASC"),
		Window:    paging.Window,
	}
	if span := q.Span("expiring_within", mostDays); span > 0 {
		query.Filter.EndsBefore = a.Clock().Add(span)
	}
	query.Filter.Type, _ = q.Text("credentials_type", 64)
	query.Filter.Name, _ = q.Text("name", credential.MaxNameRunes)
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	views, total, err := a.Service.List(ctx, r.Caller, query)
	if err != nil {
		return httpapi.Answer{}, err
	}
	rows := make([]index, len(views))
	for i, v := range views {
		rows[i] = a.wire().index(v)
	}
	return httpapi.List(r, paging, total, rows), nil
}

func (a Reading) get(ctx context.Context, r *httpapi.Request, id int64) (httpapi.Answer, error) {
	v, err := a.Service.Get(ctx, r.Caller, id, r.Items)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return tagged(v, a.wire().full(v)), nil
}

func (a Reading) tags(ctx context.Context, r *httpapi.Request, id int64) (httpapi.Answer, error) {
	v, err := a.Service.Get(ctx, r.Caller, id, r.Items)
	if err != nil {
		return httpapi.Answer{}, err
	}
	type tags struct {
		Tags []string `json:"tags"`
	}
	return tagged(v, tags{slices.Concat([]string{}, v.Tags)}), nil
}

func (a Reading) versions(ctx context.Context, r *httpapi.Request, id int64) (httpapi.Answer, error) {
	versions, reads, err := a.Service.Versions(ctx, r.Caller, id, r.Items)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: versionsOf(versions, reads)}, nil
}

func (a Reading) history(ctx context.Context, r *httpapi.Request, id int64) (httpapi.Answer, error) {
	results, err := a.Service.History(ctx, r.Caller, id, r.Items)
	if err != nil {
		return httpapi.Answer{}, err
	}
	rows := make([]result, len(results))
	for i, res := range results {
		rows[i] = resultOf(res)
	}
	return httpapi.Answer{Body: rows}, nil
}

// log answers whole days: from and to are both included.
func (a Reading) log(ctx context.Context, r *httpapi.Request, id int64) (httpapi.Answer, error) {
	q := r.Query()
	paging := q.Paging()
	query := audit.Query{From: q.Date("from"), To: q.Date("to")}
	for _, name := range q.Texts("event_filter", 32) {
		if !slices.Contains(credential.Filterable(), audit.Event(name)) {
			q.Fault("event_filter", fault.DetailUnknown, "The parameter \"event_filter\" must be one of: "+eventNames()+".")
		}
		query.Events = append(query.Events, audit.Event(name))
	}
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	if query.From.IsZero() && query.To.IsZero() {
		query.From = a.Clock().Add(-month)
	}
	if !query.To.IsZero() {
		query.To = query.To.AddDate(0, 0, 1)
	}
	entries, err := a.Service.Log(ctx, r.Caller, id, r.Items, query)
	if err != nil {
		return httpapi.Answer{}, err
	}
	from, to, err := paging.Window(len(entries))
	if err != nil {
		return httpapi.Answer{}, err
	}
	rows := make([]auditEntry, 0, to-from)
	for _, e := range entries[from:to] {
		rows = append(rows, auditOf(e))
	}
	return httpapi.List(r, paging, len(entries), rows), nil
}

func eventNames() string {
	var names []string
	for _, e := range credential.Filterable() {
		names = append(names, string(e))
	}
	return strings.Join(names, ", ")
}
