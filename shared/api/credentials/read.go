package credentials

import (
	"context"
	"slices"
	"time"

	"credence/shared/access"
	"credence/shared/api/auditlog"
	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/id"
)

const path = "/data_credentials/{id}"

// Reading is every read of metadata. It reaches no key service and no secret.
type Reading struct {
	Service credential.Service
	Clock   func() time.Time
}

// Routes lists the family's routes.
func (a Reading) Routes() []httpapi.Route {
	log := httpapi.On("GET "+path+"/audit_log", access.Read, a.log)
	log.Heavy, log.Query = true, auditlog.Parameters
	get := httpapi.On("GET "+path, access.Read, a.get)
	get.Query = []string{"expand"}
	return []httpapi.Route{
		{Pattern: "GET /data_credentials", Needs: access.Read, Heavy: true, Query: slices.Concat(filters, httpapi.ListQuery), Handle: a.list},
		get,
		httpapi.On("GET "+path+"/tags", access.Read, a.tags),
		paged(httpapi.On("GET "+path+"/versions", access.Read, a.versions)),
		paged(httpapi.On("GET "+path+"/probe/history", access.Read, a.history)),
		paged(httpapi.On("GET "+path+"/referenced_by", access.Read, a.referencedBy)),
		httpapi.On("GET "+path+"/accessors", access.Read, a.accessors),
		heavy(paged(httpapi.On("GET "+path+"/access", access.Read, a.access))),
		httpapi.On("GET "+path+"/usage", access.Read, a.usage),
		log,
	}
}

// heavy is a route that reads many rows.
func heavy(route httpapi.Route) httpapi.Route {
	route.Heavy = true
	return route
}

// paged is a route that answers a list in pages.
func paged(route httpapi.Route) httpapi.Route {
	route.Query = httpapi.PageQuery
	return route
}

func (a Reading) renderer() renderer { return renderer{a.Service.Types} }

// mostDays is how far ahead the list looks for what expires.
const mostDays = 3650

// filters are the query parameters that narrow the list. No credential here
// comes of a vendor's template, and every list has the brief form.
var filters = []string{
	"access_role", "credentials_type", "connector_type", "id[]", "status", "org_id", "name", "validity", "tags[]",
	"expiring_within", "unused_for", "brief", "vendor_*", "auth_template_*",
}

func (a Reading) list(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	q := r.Query()
	paging, sorting := q.Paging(), q.Sorting()
	query := credential.Query{
		Filter: a.filter(q, r.Caller.Org.ID), Order: credential.Order(sorting.By), Ascending: sorting.Ascending,
		Window: func(total int, compare func(int, credential.Mark) int) (from, to int, err error) {
			return paging.Window(total, func(i int, m httpapi.Mark) int { return compare(i, credential.Mark(m)) })
		},
	}
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	views, total, err := a.Service.List(ctx, r.Caller, query)
	if err != nil {
		return httpapi.Answer{}, err
	}
	rows := make([]index, len(views))
	for i, v := range views {
		rows[i] = a.renderer().index(v)
	}
	return httpapi.List(r, paging, total, rows, func(row index) httpapi.Mark {
		switch sorting.By {
		case "name":
			return httpapi.Mark{Text: row.Name, ID: row.ID}
		case "updated_at":
			return httpapi.Mark{Number: time.Time(row.UpdatedAt).UnixMilli(), ID: row.ID}
		}
		return httpapi.Mark{ID: row.ID}
	}), nil
}

func (a Reading) filter(q *httpapi.Query, org int64) credential.Filter {
	f := credential.Filter{
		IDs:      q.IDs("id"),
		Validity: credential.Validity(q.Enum("validity", "", "valid", "invalid", "unknown", "untested")),
		Tags:     q.Texts("tags", credential.MaxTagRunes),
	}
	f.Least, _ = access.ParseRole(q.Enum("access_role", "owner", "collaborator", "operator", "admin", "administrator", "owner"))
	f.Type, _ = a.kind(q, "credentials_type")
	if other, ok := a.kind(q, "connector_type"); ok {
		if f.Type != "" && f.Type != other {
			q.Fault("connector_type", fault.DetailConflict, "It has another value than credentials_type, which means the same. Send one of the two.")
		}
		f.Type = other
	}
	f.Name, _ = q.Text("name", credential.MaxNameRunes)
	f.Status, _ = q.Text("status", 1024)
	if span := q.Span("expiring_within", mostDays); span > 0 {
		f.EndsBefore = a.Clock().Add(span)
	}
	if span := q.Span("unused_for", mostDays); span > 0 {
		f.UnusedSince = a.Clock().Add(-span)
	}
	q.Bool("brief")
	other, there := q.Int("org_id", 1, id.Max)
	f.None = there && other != org || q.Any("vendor_") || q.Any("auth_template_")
	return f
}

// kind reads the name of a type.
func (a Reading) kind(q *httpapi.Query, name string) (string, bool) {
	v, there := q.Text(name, 64)
	if _, known := a.Service.Types.Lookup(v); there && !known {
		q.Fault(name, fault.DetailUnknown, a.Service.Types.Unknown(v))
	}
	return v, there
}

func (a Reading) get(ctx context.Context, r *httpapi.Request, l *credential.ForRead) (httpapi.Answer, error) {
	q := r.Query()
	q.Bool("expand") // changes nothing
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	v, err := a.Service.Get(ctx, r.Caller, l)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return tagged(v, a.renderer().full(v)), nil
}

func (a Reading) tags(ctx context.Context, r *httpapi.Request, l *credential.ForRead) (httpapi.Answer, error) {
	v, err := a.Service.Get(ctx, r.Caller, l)
	if err != nil {
		return httpapi.Answer{}, err
	}
	type tags struct {
		Tags []string `json:"tags"`
	}
	return tagged(v, tags{slices.Concat([]string{}, v.Tags)}), nil
}

func (a Reading) versions(ctx context.Context, r *httpapi.Request, l *credential.ForRead) (httpapi.Answer, error) {
	q := r.Query()
	paging := q.Paging()
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	versions, reads, err := a.Service.Versions(ctx, r.Caller, l)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.SortedList(r, paging, versionsOf(versions, reads), false, func(v version) httpapi.Mark { return httpapi.Mark{ID: v.Number} })
}

func (a Reading) history(ctx context.Context, r *httpapi.Request, l *credential.ForRead) (httpapi.Answer, error) {
	q := r.Query()
	paging := q.Paging()
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	results, err := a.Service.History(ctx, r.Caller, l)
	if err != nil {
		return httpapi.Answer{}, err
	}
	rows := make([]result, len(results))
	for i, res := range results {
		rows[i] = resultOf(res)
	}
	return httpapi.SortedList(r, paging, rows, false, func(row result) httpapi.Mark {
		return httpapi.Mark{Number: time.Time(row.CheckedAt).UnixMilli()}
	})
}

func (a Reading) log(ctx context.Context, r *httpapi.Request, l *credential.ForLog) (httpapi.Answer, error) {
	return auditlog.Answer(r, a.Clock(), credential.Filterable(), func(q audit.Query) (audit.Page, error) {
		return a.Service.Log(ctx, r.Caller, l, q)
	})
}
