package people

import (
	"context"

	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/id"
	"credence/shared/resource"
)

// transferred is the answer to a transfer.
type transferred struct {
	From  int64 `json:"user_id"`
	To    int64 `json:"delegate_owner_id"`
	Moved moved `json:"transferred"`
	Done  bool  `json:"done"` // otherwise the request is repeated
}

type moved struct {
	Credentials int `json:"data_credentials"`
	Sources     int `json:"data_sources"`
	Sinks       int `json:"data_sinks"`
}

// transfer reads the new owner under either of its names.
func (a API) transfer(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	from, err := r.ID("id")
	if err != nil {
		return httpapi.Answer{}, err
	}
	o, err := r.Body("to", "delegate_owner_id", "org_id")
	if err != nil {
		return httpapi.Answer{}, err
	}
	name := o.Name("delegate_owner_id", "to")
	o.Require(name)
	to, _ := o.Int(name, 1, id.Max)
	if org, state := o.Int("org_id", 1, id.Max); state == httpapi.Present && org != r.Caller.Org.ID {
		o.Fault("org_id", fault.DetailForbidden, "A transfer stays in your organisation. Leave org_id out.")
	}
	if err := o.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	m, err := a.Owned.TransferAll(ctx, r.Caller, from, resource.Heir{User: to, Pointer: o.Pointer(name)})
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: transferred{from, to, moved{m.Credentials, m.Sources, m.Sinks}, m.Done}}, nil
}
