package resources

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/api/credentials"
	"credence/shared/connector"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/id"
	"credence/shared/jsontree"
	"credence/shared/resource"
)

// names are the members of a body. Those of the published API that have no meaning
// here, and those that only the service sets, are ignored.
func (f family) names() httpapi.Names {
	known := []string{"name", "description", f.prefix + "_type", "connector_type", "data_credentials_id", "data_credentials", f.prefix + "_config"}
	var sent any = source{}
	if f.kind == resource.Sink {
		known, sent = append(known, "data_set_id"), sink{}
	}
	return httpapi.Names{
		Known: known,
		Ignored: slices.Concat(httpapi.FieldsOf(sent), []string{
			"ingest_method", "ingestion_mode", "flow_type", "template_config", "vendor_endpoint_id", "vendor_endpoint", "vendor", "code_container_id", "auto_generated",
			"poll_schedule", "data_set", "data_map_id", "data_source_id", "in_memory", f.prefix + "_format", f.prefix + "_schedule", "run_ids", "api_keys", "has_template",
		}),
		Also: map[string]string{"title": "name", "label": "name", "type": f.prefix + "_type", "credentials": "data_credentials", "credentials_id": "data_credentials_id", "config": f.prefix + "_config"},
	}
}

// draft reads the body of a create or, if creating is false, of an update, which
// takes no inline credential.
func (f family) draft(r *httpapi.Request, creating bool) (resource.Draft, error) {
	o, err := r.BodyOf(f.names())
	if err != nil {
		return resource.Draft{}, err
	}
	var d resource.Draft
	if v, state := o.Text("name", httpapi.TextRule{Max: resource.MaxNameRunes}); state != httpapi.Absent {
		d.Name = &v
	}
	switch v, state := o.Text("description", httpapi.TextRule{Max: resource.MaxNameRunes, Lines: true}); state {
	case httpapi.Present:
		d.Description = &credential.Description{Text: &v}
	case httpapi.Null:
		d.Description = &credential.Description{}
	}
	for _, name := range []string{f.prefix + "_type", "connector_type"} {
		v, state := o.Text(name, httpapi.TextRule{Max: 64, Exact: true})
		switch {
		case state != httpapi.Present:
		case d.Type != nil && *d.Type != v:
			o.Fault(name, fault.DetailConflict, "It has another value than "+f.prefix+"_type, which means the same. Send one of the two.")
		default:
			d.Type = &v
		}
	}
	f.config(o, &d)
	used(o, &d, creating)
	if v, state := o.Int("data_set_id", 1, id.Max); state == httpapi.Present {
		d.DataSet = &v
	}
	d.Faults = o.Faults()
	return d, nil
}

// used reads the credential under its three forms: an id, the same under
// data_credentials, or an object.
func used(o *httpapi.Object, d *resource.Draft, creating bool) {
	set := func(name string, v int64) {
		if d.Credential != nil && *d.Credential != v || d.Inline != nil {
			o.Fault(name, fault.DetailConflict, "The body names two credentials. Send data_credentials_id or data_credentials.")
			return
		}
		d.Credential = &v
	}
	node, state := o.Node("data_credentials")
	switch {
	case state != httpapi.Present || !creating && node.Kind() == '{':
		// A client that sends back what it read has the object beside the id.
	case node.Kind() == '{':
		if inline, state := o.Object("data_credentials"); state == httpapi.Present {
			draft := credentials.DraftIn(inline)
			d.Inline = &draft
		}
	default:
		if v, state := o.Int("data_credentials", 1, id.Max); state == httpapi.Present {
			set("data_credentials", v)
		}
	}
	switch v, state := o.Int("data_credentials_id", 1, id.Max); state {
	case httpapi.Present:
		set("data_credentials_id", v)
	case httpapi.Null:
		if !creating {
			set("data_credentials_id", 0)
		}
	}
}

// config reads the configuration, which is shown to readers and so holds no secret.
func (f family) config(o *httpapi.Object, d *resource.Draft) {
	name := f.prefix + "_config"
	inner, state := o.Object(name)
	if state != httpapi.Present {
		if state == httpapi.Null {
			d.Config = new(jsontext.Value)
		}
		return
	}
	node, _ := o.Node(name)
	for _, p := range node.Parts {
		if carries(p.Name, p.Node) {
			inner.Fault(p.Name, fault.DetailForbidden, "The configuration is shown to readers, and this value contains a user, a password or a key. Put it into the credential.")
		}
	}
	text := jsontext.Value(bytes.Clone(node.Raw))
	if text.Compact() == nil {
		d.Config = &text
	}
}

// carries reports whether a value, or one inside it, has the form or the name of a
// secret.
func carries(name string, n jsontree.Node) bool {
	if slices.ContainsFunc(n.Parts, func(p jsontree.Part) bool { return carries(p.Name, p.Node) }) {
		return true
	}
	text, err := jsontext.AppendUnquote(nil, n.Raw)
	return n.Kind() == '"' && err == nil && (connector.InPublic(string(text)) || len(text) > 0 && strings.Contains(strings.ToLower(name), "password"))
}
