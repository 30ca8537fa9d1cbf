// Package resources serves the families of routes under /data_sources and
// /data_sinks: their bodies, queries and answers. The work is done by the domain.
package resources

import (
	"context"
	"slices"
	"time"

	"credence/shared/access"
	"credence/shared/api/auditlog"
	"credence/shared/audit"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/id"
	"credence/shared/resource"
)

// API serves both families.
type API struct {
	Service resource.Service
	Clock   func() time.Time
}

// family is one of the two.
type family struct {
	API
	kind   resource.Kind
	path   string
	prefix string // of the names of members: source or sink
	on     func(pattern string, needs access.Permission, handle handler) httpapi.Route
}

// handler is an endpoint on one resource.
type handler = func(context.Context, *httpapi.Request, *resource.Load) (httpapi.Answer, error)

// on makes routes whose load is of the type T.
func on[T any, L interface {
	*T
	httpapi.Load
	Loaded() *resource.Load
}](pattern string, needs access.Permission, handle handler) httpapi.Route {
	return httpapi.On(pattern, needs, func(ctx context.Context, r *httpapi.Request, l L) (httpapi.Answer, error) {
		return handle(ctx, r, l.Loaded())
	})
}

// Routes lists the routes of both families.
func (a API) Routes() []httpapi.Route {
	return slices.Concat(
		family{a, resource.Source, "/data_sources", "source", on[resource.ForSource]}.routes(),
		family{a, resource.Sink, "/data_sinks", "sink", on[resource.ForSink]}.routes(),
	)
}

func (f family) routes() []httpapi.Route {
	one := f.path + "/{id}"
	get := f.on("GET "+one, access.Read, f.get)
	get.Query = []string{"expand"}
	log := f.on("GET "+one+"/audit_log", access.Read, f.log)
	log.Heavy, log.Query = true, auditlog.Parameters
	return []httpapi.Route{
		{Pattern: "POST " + f.path, Needs: access.Create | access.Use, Handle: f.create},
		{Pattern: "GET " + f.path, Needs: access.Read, Heavy: true, Query: slices.Concat(f.filters(), httpapi.ListQuery), Handle: f.list},
		get,
		f.on("PUT "+one, access.Update|access.Use, f.update),
		f.on("DELETE "+one, access.Delete, f.delete),
		f.on("PUT "+one+"/activate", access.Update, f.status(resource.Active)),
		f.on("PUT "+one+"/pause", access.Update, f.status(resource.Paused)),
		f.on("POST "+one+"/copy", access.Create|access.Use, f.copy),
		log,
	}
}

func (f family) answer(v resource.View, err error) (httpapi.Answer, error) {
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: of(f.Service.Credentials.Types, v)}, nil
}

func (f family) create(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	idem, err := r.Idempotency()
	if err != nil {
		return httpapi.Answer{}, err
	}
	d, err := f.draft(r, true)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return f.answer(f.Service.Create(ctx, r.Caller, f.kind, d, idem))
}

func (f family) get(ctx context.Context, r *httpapi.Request, l *resource.Load) (httpapi.Answer, error) {
	q := r.Query()
	q.Bool("expand") // changes nothing
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	return f.answer(f.Service.Get(ctx, r.Caller, l))
}

func (f family) update(ctx context.Context, r *httpapi.Request, l *resource.Load) (httpapi.Answer, error) {
	d, err := f.draft(r, false)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return f.answer(f.Service.Update(ctx, r.Caller, l, d))
}

func (f family) status(to resource.Status) handler {
	return func(ctx context.Context, r *httpapi.Request, l *resource.Load) (httpapi.Answer, error) {
		return f.answer(f.Service.SetStatus(ctx, r.Caller, l, to))
	}
}

type deleted struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (f family) delete(ctx context.Context, r *httpapi.Request, l *resource.Load) (httpapi.Answer, error) {
	if err := f.Service.Delete(ctx, r.Caller, l); err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: deleted{Code: "200", Message: "Ok"}}, nil
}

// copy reads the options of the published API. A copy always uses the credential of
// the original, so reuse_data_credentials is accepted with either value.
func (f family) copy(ctx context.Context, r *httpapi.Request, l *resource.Load) (httpapi.Answer, error) {
	idem, err := r.Idempotency()
	if err != nil {
		return httpapi.Answer{}, err
	}
	if r.HasBody() {
		o, err := r.BodyOf(httpapi.Names{Known: []string{"reuse_data_credentials", "copy_access_controls"}, Ignored: []string{"owner_id", "org_id"}})
		if err != nil {
			return httpapi.Answer{}, err
		}
		o.Bool("reuse_data_credentials")
		o.Bool("copy_access_controls")
		if err := o.Err(); err != nil {
			return httpapi.Answer{}, err
		}
	}
	return f.answer(f.Service.Copy(ctx, r.Caller, l, idem))
}

func (f family) log(ctx context.Context, r *httpapi.Request, l *resource.Load) (httpapi.Answer, error) {
	return auditlog.Answer(r, f.Clock(), resource.Events(), func(q audit.Query) (audit.Page, error) {
		return f.Service.Log(ctx, r.Caller, l, q)
	})
}

// filters are the query parameters that narrow the list.
func (f family) filters() []string {
	return []string{"access_role", f.prefix + "_type", "connector_type", "status", "id[]", "data_credentials_id", "org_id"}
}

func (f family) filter(q *httpapi.Query, org int64) resource.Filter {
	var w resource.Filter
	role, _ := access.ParseRole(q.Enum("access_role", "owner", "collaborator", "operator", "admin", "administrator", "owner"))
	w.All = role < access.Owner
	for _, name := range []string{f.prefix + "_type", "connector_type"} {
		v, there := q.Text(name, 64)
		if there && w.Type != "" && w.Type != v {
			q.Fault(name, fault.DetailConflict, "It has another value than "+f.prefix+"_type, which means the same. Send one of the two.")
		}
		if there {
			w.Type = v
		}
	}
	w.Status = resource.Status(q.Enum("status", "", string(resource.Init), string(resource.Active), string(resource.Paused)))
	w.IDs = q.IDs("id")
	w.Credential, _ = q.Int("data_credentials_id", 1, id.Max)
	other, there := q.Int("org_id", 1, id.Max)
	w.None = there && other != org
	return w
}

func (f family) list(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	q := r.Query()
	paging, sorting, filter := q.Paging(), q.Sorting(), f.filter(q, r.Caller.Org.ID)
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	all, err := f.Service.List(ctx, r.Caller, f.kind, filter)
	if err != nil {
		return httpapi.Answer{}, err
	}
	mark := func(r resource.Resource) httpapi.Mark {
		switch sorting.By {
		case "name":
			return httpapi.Mark{Text: r.Name, ID: r.ID}
		case "updated_at":
			return httpapi.Mark{Number: r.UpdatedAt.UnixMilli(), ID: r.ID}
		}
		return httpapi.Mark{ID: r.ID}
	}
	page, err := httpapi.Sorted(paging, all, sorting.Ascending, mark)
	if err != nil {
		return httpapi.Answer{}, err
	}
	views, err := f.Service.Complete(ctx, r.Caller, page)
	if err != nil {
		return httpapi.Answer{}, err
	}
	rows := make([]any, len(views))
	for i, v := range views {
		rows[i] = of(f.Service.Credentials.Types, v)
	}
	answer := httpapi.List(r, paging, len(all), page, mark)
	answer.Body = rows
	return answer, nil
}
