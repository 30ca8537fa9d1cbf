package credentials

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/id"
	"credence/shared/pattern"
)

// draftNames are the members of a create or update. What only the service sets is
// ignored, because a client may send back the object that it read; so are the
// members of the published API that have no meaning here.
var draftNames = sync.OnceValue(func() httpapi.Names {
	return httpapi.Names{
		Known: []string{
			"name", "description", "credentials_type", "connector_type", "credentials", "tags",
			"credentials_version", "owner_id", "org_id", "probe_interval",
		},
		Ignored: slices.Concat(httpapi.FieldsOf(full{}), httpapi.FieldsOf(index{}), []string{
			"vendor", "vendor_id", "vendor_name", "auth_template", "auth_template_id", "auth_template_name", "template_config",
			"access_role_expires_at", "copy_access_controls",
		}),
		Also: map[string]string{
			"title": "name", "label": "name", "type": "credentials_type", "kind": "credentials_type",
			"secret": "credentials", "secrets": "credentials", "config": "credentials", "data": "credentials", "settings": "credentials",
			"labels": "tags", "comment": "description", "notes": "description", "interval": "probe_interval", "schedule": "probe_interval",
		},
	}
})

// draft reads the body of a create or update.
func draft(r *httpapi.Request) (credential.Draft, error) {
	o, err := r.BodyOf(draftNames())
	if err != nil {
		return credential.Draft{}, err
	}
	d := fields(o)
	d.Faults = o.Faults()
	return d, nil
}

// DraftIn reads a credential to create from an object inside another body. The
// errors of its fields are among those of the body, and not in the draft.
func DraftIn(o *httpapi.Object) credential.Draft {
	o.Only(draftNames())
	return fields(o)
}

// fields reads the fields of a credential. The errors of fields stay in o, so that
// they are answered together with those that the domain finds.
func fields(o *httpapi.Object) credential.Draft {
	var d credential.Draft
	if v, state := o.Text("name", httpapi.TextRule{Max: credential.MaxNameRunes}); state != httpapi.Absent {
		d.Name = &v // null is no name, which the domain refuses
	}
	switch v, state := o.Text("description", httpapi.TextRule{Max: credential.MaxNameRunes, Lines: true}); state {
	case httpapi.Present:
		d.Description = &credential.Description{Text: &v}
	case httpapi.Null:
		d.Description = &credential.Description{}
	}
	d.Type = typeName(o)
	if v, state := o.Node("credentials"); state == httpapi.Present {
		d.Credentials = v
	}
	if v, state := o.Texts("tags", 1000, tagRule); state == httpapi.Present {
		d.Tags = &v
	}
	d.Format = present(o.Text("credentials_version", httpapi.TextRule{Max: 32, Required: has(o, "credentials_version")}))
	d.Owner = present(o.Int("owner_id", 1, id.Max))
	d.Org = present(o.Int("org_id", 1, id.Max))
	d.Interval = present(o.Text("probe_interval", word))
	return d
}

// word is a text that the domain compares with the words it knows.
var word = httpapi.TextRule{Exact: true}

var tagRule = httpapi.TextRule{Max: credential.MaxTagRunes}

func has(o *httpapi.Object, name string) bool {
	_, state := o.Node(name)
	return state == httpapi.Present
}

func present[T any](v T, state httpapi.State) *T {
	if state != httpapi.Present {
		return nil
	}
	return &v
}

// typeName reads the type under either of its names.
func typeName(o *httpapi.Object) *string {
	name := present(o.Text("credentials_type", word))
	other := present(o.Text("connector_type", word))
	if name == nil {
		return other
	}
	if other != nil && *other != *name {
		o.Fault("connector_type", fault.DetailConflict, "It says something else than credentials_type, which means the same. Send one of the two.")
	}
	return name
}

var tagForm = pattern.New(`^"([vs])([1-9][0-9]{0,15})"$`)

// tagNumbers are the numbers of our entity tags of one kind in a list of tags.
// Tags hold no comma of ours, so a tag that does is split into ones that match
// nothing. Weak marks the W/ of a weak tag as no hindrance, as the comparison
// of If-None-Match asks; If-Match compares strongly (RFC 9110, 8.8.3.2).
func tagNumbers(header, kind string, weak bool) []int64 {
	var numbers []int64
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if weak {
			tag = strings.TrimPrefix(tag, "W/")
		}
		if m := tagForm.FindStringSubmatch(tag); m != nil && m[1] == kind {
			n, err := strconv.ParseInt(m[2], 10, 64)
			if err == nil {
				numbers = append(numbers, n)
			}
		}
	}
	return numbers
}

// ifMatch reads If-Match (RFC 9110, 13.1.1): nil where there is none, or "*",
// which any credential that is there fulfils; else the versions that match,
// none of them where the tags are not ours.
func ifMatch(r *httpapi.Request) credential.Match {
	h := strings.Join(r.HTTP.Header.Values("If-Match"), ",")
	if h == "" || strings.TrimSpace(h) == "*" {
		return nil
	}
	return append(credential.Match{}, tagNumbers(h, "v", false)...)
}

// secretTag is the entity tag of a version of the secret.
func secretTag(sv int64) string { return fmt.Sprintf(`"s%d"`, sv) }

// knownSecret reads If-None-Match (RFC 9110, 13.1.2): whether the client holds
// a version already; "*" holds any.
func knownSecret(r *httpapi.Request) func(sv int64) bool {
	h := strings.Join(r.HTTP.Header.Values("If-None-Match"), ",")
	known := tagNumbers(h, "s", true)
	return func(sv int64) bool { return strings.TrimSpace(h) == "*" || slices.Contains(known, sv) }
}

// tagged answers a credential with its entity tag.
func tagged(v credential.View, body any) httpapi.Answer {
	h := http.Header{}
	h.Set("ETag", v.Tag())
	return httpapi.Answer{Header: h, Body: body}
}
