// Package catalogue answers which types of credentials there are and what each
// of them asks for. It reads nothing but the declarations.
package catalogue

import (
	"context"
	"sync"

	"credence/shared/access"
	"credence/shared/connector"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/nearest"
)

// API is the family of routes. Types is required.
type API struct{ Types *connector.Registry }

// Routes lists the family's routes. Each needs a key that may read. The schema of
// a request, which holds those of all types, is made when it is first asked for.
func (a API) Routes() []httpapi.Route {
	request := sync.OnceValue(a.Types.RequestSchema)
	return []httpapi.Route{
		{Pattern: "GET /credential_types", Needs: access.Read, Query: httpapi.PageQuery, Handle: a.list},
		{Pattern: "GET /credential_types/{type}", Needs: access.Read, Handle: a.schema},
		{Pattern: "GET /data_credentials/schema", Needs: access.Read, Handle: func(context.Context, *httpapi.Request) (httpapi.Answer, error) {
			return httpapi.Answer{Body: request()}, nil
		}},
	}
}

// Connector is a type on the wire, in the list of types and in each credential.
type Connector struct {
	ID               int64  `json:"id"`
	Type             string `json:"type"`
	ConnectionType   string `json:"connection_type"`
	Name             string `json:"name"`
	Description      string `json:"description"`
	NexsetCompatible bool   `json:"nexset_api_compatible"` // no type serves data sets over HTTP
}

// Of is the type as the wire shows it.
func Of(t *connector.Type) Connector {
	return Connector{ID: t.ID, Type: t.Name, ConnectionType: t.ConnectionType, Name: t.Title, Description: t.Help}
}

// list answers the types, sorted by name.
func (a API) list(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	q := r.Query()
	paging := q.Paging()
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	rows := make([]Connector, 0, len(a.Types.All()))
	for _, t := range a.Types.All() {
		rows = append(rows, Of(t))
	}
	return httpapi.SortedList(r, paging, rows, true, func(c Connector) httpapi.Mark { return httpapi.Mark{Text: c.Type, ID: c.ID} })
}

// schema answers the JSON Schema of one type's credentials. Names are told
// apart by case, as they are in a credential.
func (a API) schema(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	name := r.HTTP.PathValue("type")
	t, ok := a.Types.Lookup(name)
	if !ok {
		missing := fault.New(fault.CodeNotFound, "There is no such type: GET /credential_types lists those there are.")
		if near := a.Types.Suggest(name); near != "" { // in a detail: the sentence of a 404 is always the same
			missing.Details = []fault.Detail{{Code: fault.DetailUnknown, Message: "There is no such type." + nearest.Hint(near)}}
		}
		return httpapi.Answer{}, missing
	}
	return httpapi.Answer{Body: t.Schema()}, nil
}
