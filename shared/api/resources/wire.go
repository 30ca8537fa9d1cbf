package resources

import (
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/api/credentials"
	"credence/shared/connector"
	"credence/shared/httpapi"
	"credence/shared/resource"
)

// shared are the members that both kinds have.
type shared struct {
	ID           int64             `json:"id"`
	Name         string            `json:"name"`
	Description  *string           `json:"description"`
	Status       resource.Status   `json:"status"`
	Owner        credentials.Owner `json:"owner"`
	Org          credentials.Org   `json:"org"`
	AccessRoles  []string          `json:"access_roles"`
	Connector    string            `json:"connector_type"`
	CredentialID *int64            `json:"data_credentials_id"`
	Credential   any               `json:"data_credentials"` // the form that the reader may see
	CopiedFrom   *int64            `json:"copied_from_id"`
	Managed      bool              `json:"managed"`
	Tags         []string          `json:"tags"`
	UpdatedAt    httpapi.Timestamp `json:"updated_at"`
	CreatedAt    httpapi.Timestamp `json:"created_at"`
}

type source struct {
	shared
	Type     string         `json:"source_type"`
	Config   jsontext.Value `json:"source_config"`
	DataSets []struct{}     `json:"data_sets"` // this service has none
}

type sink struct {
	shared
	Type    string         `json:"sink_type"`
	Config  jsontext.Value `json:"sink_config"`
	DataSet *int64         `json:"data_set_id"`
}

func nullable[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// of returns the wire form of a resource.
func of(types *connector.Registry, v resource.View) any {
	w := shared{
		ID: v.ID, Name: v.Name, Description: v.Description, Status: v.Status, Owner: credentials.OwnerOf(v.Owner), Org: credentials.OrgOf(v.Org),
		AccessRoles: []string{v.Role.String()}, Connector: v.Type, CredentialID: nullable(v.Credential), CopiedFrom: nullable(v.CopiedFrom),
		Tags: []string{}, UpdatedAt: httpapi.Timestamp(v.UpdatedAt), CreatedAt: httpapi.Timestamp(v.CreatedAt),
	}
	if v.Used != nil {
		w.Credential = credentials.Of(types, *v.Used)
	}
	config := v.Config
	if config == nil {
		config = jsontext.Value("{}")
	}
	if v.Kind == resource.Source {
		return source{shared: w, Type: v.Type, Config: config, DataSets: []struct{}{}}
	}
	return sink{shared: w, Type: v.Type, Config: config, DataSet: nullable(v.DataSet)}
}
