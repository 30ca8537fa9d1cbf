// Package credentials is the family of routes under /data_credentials: what
// they take and answer on the wire. The work is the domain's.
package credentials

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/api/catalogue"
	"credence/shared/connector"
	"credence/shared/credential"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/probe"
)

// full is the credential object of one; index, that of lists.
type full struct {
	ID          int64                `json:"id"`
	Name        string               `json:"name"`
	Description *string              `json:"description"`
	Owner       Owner                `json:"owner"`
	Org         Org                  `json:"org"`
	AccessRoles []string             `json:"access_roles"`
	Type        string               `json:"credentials_type"`
	Connector   *catalogue.Connector `json:"connector"`
	Format      string               `json:"credentials_version"`
	Managed     bool                 `json:"managed"`
	APIKeys     []jsontext.Value     `json:"api_keys"`
	Public      jsontext.Value       `json:"credentials_non_secure_data"`
	Tags        []string             `json:"tags"`
	Status      *string              `json:"verified_status"`
	VerifiedAt  httpapi.Timestamp    `json:"verified_at"`
	CopiedFrom  *int64               `json:"copied_from_id"`
	References  map[string]any       `json:"referenced_resource_ids"`
	UpdatedAt   httpapi.Timestamp    `json:"updated_at"`
	CreatedAt   httpapi.Timestamp    `json:"created_at"`

	// Ours: clients keep or ignore what they do not know.
	Version       int64  `json:"version"`
	SecretVersion int64  `json:"secret_version"`
	Interval      string `json:"probe_interval"`
	ends
	LastProbe *lastProbe `json:"last_probe"`
	Warnings  []notice   `json:"warnings,omitzero"` // about the request that this answers
}

// notice is something about a request that was carried out.
type notice struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

type index struct {
	ID          int64                `json:"id"`
	Name        string               `json:"name"`
	Description *string              `json:"description"`
	Owner       Owner                `json:"owner"`
	Org         Org                  `json:"org"`
	AccessRoles []string             `json:"access_roles"`
	Format      string               `json:"credentials_version"`
	Type        string               `json:"credentials_type"`
	Connector   *catalogue.Connector `json:"connector"`
	Status      *string              `json:"verified_status"`
	VerifiedAt  httpapi.Timestamp    `json:"verified_at"`
	CopiedFrom  *int64               `json:"copied_from_id"`
	UpdatedAt   httpapi.Timestamp    `json:"updated_at"`
	CreatedAt   httpapi.Timestamp    `json:"created_at"`
	ends
}

// ends is ours too, under the names that the facts of a probe have.
type ends struct {
	Secret      httpapi.Timestamp `json:"expires_at"`
	Certificate httpapi.Timestamp `json:"tls_not_after"`
}

func endsOf(e credential.Ends) ends {
	return ends{Secret: httpapi.Timestamp(e.Secret), Certificate: httpapi.Timestamp(e.Certificate)}
}

// Owner is the wire form of the owner of a thing.
type Owner struct {
	ID       int64  `json:"id"`
	FullName string `json:"full_name"`
	Email    string `json:"email"`
}

// Org is the wire form of the organisation of a thing.
type Org struct {
	ID               int64   `json:"id"`
	Name             string  `json:"name"`
	EmailDomain      *string `json:"email_domain"`
	Email            *string `json:"email"`
	ClientIdentifier *string `json:"client_identifier"`
}

type lastProbe struct {
	Verdict   probe.Verdict     `json:"verdict"`
	Code      probe.Code        `json:"error_code"`
	Message   string            `json:"message"`
	Pointer   *string           `json:"pointer"`
	CheckedAt httpapi.Timestamp `json:"checked_at"`
}

func nullable[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// OwnerOf returns the wire form of an owner.
func OwnerOf(u identity.User) Owner { return Owner{ID: u.ID, FullName: u.FullName, Email: u.Email} }

// OrgOf returns the wire form of an organisation.
func OrgOf(o identity.Org) Org {
	return Org{ID: o.ID, Name: o.Name, EmailDomain: nullable(o.EmailDomain)}
}

// renderer makes objects of the wire; it knows the declarations of types.
type renderer struct{ types *connector.Registry }

func (w renderer) connector(name string) *catalogue.Connector {
	t, ok := w.types.Lookup(name)
	if !ok {
		return nil
	}
	c := catalogue.Of(t)
	return &c
}

// Of returns the wire form of one credential for another family's answers.
func Of(types *connector.Registry, v credential.View) any { return renderer{types}.full(v) }

func (w renderer) full(v credential.View) full {
	f := full{
		ID: v.ID, Name: v.Name, Description: v.Description, Owner: OwnerOf(v.Owner), Org: OrgOf(v.Org),
		AccessRoles: []string{v.Role.String()}, Type: v.Type, Connector: w.connector(v.Type),
		Format: v.Format, APIKeys: []jsontext.Value{}, Public: jsontext.Value("{}"), Tags: slices.Concat([]string{}, v.Tags),
		Status: nullable(v.Status), VerifiedAt: httpapi.Timestamp(v.VerifiedAt), CopiedFrom: nullable(v.CopiedFrom),
		References: map[string]any{}, UpdatedAt: httpapi.Timestamp(v.UpdatedAt), CreatedAt: httpapi.Timestamp(v.CreatedAt),
		Version: v.Version, SecretVersion: v.SecretVersion, Interval: string(v.Interval),
		ends: endsOf(v.Ends),
	}
	if v.Full() {
		f.Public = v.PublicOrEmpty()
	}
	for _, w := range v.Warnings {
		f.Warnings = append(f.Warnings, notice(w))
	}
	if p := v.LastProbe; p != nil {
		f.LastProbe = &lastProbe{
			Verdict: p.Verdict, Code: p.Code, Message: p.Message, Pointer: nullable(p.Pointer),
			CheckedAt: httpapi.Timestamp(p.CheckedAt),
		}
	}
	return f
}

func (w renderer) index(v credential.View) index {
	f := w.full(v)
	return index{
		ID: f.ID, Name: f.Name, Description: f.Description, Owner: f.Owner, Org: f.Org, AccessRoles: f.AccessRoles,
		Format: f.Format, Type: f.Type, Connector: f.Connector, Status: f.Status, VerifiedAt: f.VerifiedAt,
		CopiedFrom: f.CopiedFrom, UpdatedAt: f.UpdatedAt, CreatedAt: f.CreatedAt,
		ends: f.ends,
	}
}

// result is a probe's answer, and, without output, a line of the history.
type result struct {
	Status         any               `json:"status"` // "ok", or the number of the HTTP status
	Message        string            `json:"message"`
	Verdict        probe.Verdict     `json:"verdict"`
	Code           probe.Code        `json:"error_code"`
	Pointer        *string           `json:"pointer"`
	Retryable      bool              `json:"retryable"`
	ConnectionType string            `json:"connection_type"`
	Output         *struct{}         `json:"output,omitzero"`
	Warnings       []warning         `json:"warnings"`
	Stages         []stage           `json:"stages"`
	Facts          map[string]string `json:"facts"`
	CheckedAt      httpapi.Timestamp `json:"checked_at"`
}

type warning struct {
	Code    probe.Code `json:"code"`
	Message string     `json:"message"`
	Pointer *string    `json:"pointer"`
}

type stage struct {
	Name    string        `json:"name"`
	Outcome probe.Outcome `json:"outcome"`
	Millis  int64         `json:"ms"`
	Message string        `json:"message"`
}

func resultOf(r probe.Result) result {
	out := result{
		Status: r.Status, Message: r.Message, Verdict: r.Verdict, Code: r.Code, Pointer: nullable(r.Pointer),
		Retryable: r.Retryable, ConnectionType: r.ConnectionType, Warnings: []warning{}, Stages: []stage{},
		Facts: map[string]string{}, CheckedAt: httpapi.Timestamp(r.CheckedAt),
	}
	if r.Verdict == probe.Valid {
		out.Status, out.Message = "ok", "Ok"
	}
	for _, w := range r.Warnings {
		out.Warnings = append(out.Warnings, warning{Code: w.Code, Message: w.Message, Pointer: nullable(w.Pointer)})
	}
	for _, s := range r.Stages {
		out.Stages = append(out.Stages, stage{Name: s.Name, Outcome: s.Outcome, Millis: s.Millis, Message: s.Message})
	}
	for name, v := range r.Facts {
		out.Facts[name] = v
	}
	for _, name := range []string{probe.FactExpires, probe.FactCertificateEnd} {
		if at := r.Time(name); !at.IsZero() { // as all times on the wire
			out.Facts[name] = httpapi.Timestamp(at).String()
		}
	}
	return out
}

type auditUser struct {
	ID    int64  `json:"id"`
	Email string `json:"email"`
}

type version struct {
	Number     int64             `json:"version"`
	Active     bool              `json:"active"`
	Type       string            `json:"credentials_type"`
	Public     jsontext.Value    `json:"credentials_non_secure_data"`
	Fields     []string          `json:"fields"`
	Status     *string           `json:"verified_status"`
	VerifiedAt httpapi.Timestamp `json:"verified_at"`
	ends
	CreatedAt httpapi.Timestamp `json:"created_at"`
	CreatedBy auditUser         `json:"created_by"`
	Reads     []lastRead        `json:"last_read_by"`
}

type lastRead struct {
	Principal string `json:"principal"`
	Email     string `json:"email"`
	Day       string `json:"day"`
}

func versionsOf(versions []credential.Version, reads []credential.LastRead) []version {
	out := make([]version, 0, len(versions))
	for _, v := range versions {
		w := version{
			Number: v.Number, Active: v.Active, Type: v.Type, Public: v.Public, Fields: slices.Concat([]string{}, v.Known),
			Status: nullable(v.Status), VerifiedAt: httpapi.Timestamp(v.Verified), CreatedAt: httpapi.Timestamp(v.MadeAt),
			ends: endsOf(v.Ends), CreatedBy: auditUser{ID: v.MadeBy, Email: v.MadeEmail}, Reads: []lastRead{},
		}
		for _, r := range reads {
			if r.Version == v.Number {
				w.Reads = append(w.Reads, lastRead{Principal: r.Principal, Email: r.Email, Day: r.Day})
			}
		}
		out = append(out, w)
	}
	return out
}
