package credential

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/envelope"
	"credence/shared/probe"
	"credence/shared/store"
)

// encode makes the row's next form; its condition is the row as it was read.
func encode(c Credential) (store.Write, error) {
	a := store.Attributes{
		"rev": c.rev + 1, "ver": c.Version, "sv": c.SecretVersion, "hsv": c.LastSecret,
		"owner": c.Owner, "name": c.Name, "type": c.Type, "format": c.Format,
		"refs": c.References, "validity": string(c.Validity), "probes": c.Probes,
		"interval": string(c.Interval), "public": string(c.Public),
	}
	if c.Description != nil {
		a["desc"] = *c.Description
	}
	if c.CopiedFrom != 0 {
		a["copied"] = c.CopiedFrom
	}
	if c.shared != 0 {
		a["acl"] = c.shared
	}
	a.SetText("status", c.Status)
	a.SetTime("verified", c.VerifiedAt)
	c.Ends.encode(a)
	a.SetTime("created", c.CreatedAt)
	a.SetTime("updated", c.UpdatedAt)
	if err := setJSON(a, "tags", c.Tags, len(c.Tags) > 0); err != nil {
		return store.Write{}, err
	}
	if err := setJSON(a, "probe", c.LastProbe, c.LastProbe != nil); err != nil {
		return store.Write{}, err
	}
	condition := store.Absent()
	if c.rev > 0 {
		condition = store.Equal("rev", c.rev)
	}
	return store.Write{Verb: store.Put, Item: store.Item{Key: RowKey(c.Org, c.ID), Attributes: a}, If: condition}, nil
}

// decode reads a row; false where there is none. A row without an owner is
// nobody's, so damage denies and never grants.
func decode(org, id int64, i store.Item) (Credential, bool, error) {
	if !i.Found() {
		return Credential{}, false, nil
	}
	a := i.Attributes
	c := Credential{
		ID: id, Org: org, Owner: a.Int("owner"), Name: a.Text("name"), Type: a.Text("type"),
		Format: a.Text("format"), Interval: Interval(a.Text("interval")), CopiedFrom: a.Int("copied"),
		Public: jsontext.Value(a.Text("public")), Version: a.Int("ver"), SecretVersion: a.Int("sv"),
		LastSecret: a.Int("hsv"), References: a.Int("refs"), Status: a.Text("status"),
		VerifiedAt: a.Time("verified"), Validity: Validity(a.Text("validity")), Probes: a.Int("probes"),
		Ends: decodeEnds(a), CreatedAt: a.Time("created"), UpdatedAt: a.Time("updated"), shared: a.Int("acl"), rev: a.Int("rev"),
	}
	if d, ok := a["desc"].(string); ok {
		c.Description = &d
	}
	if err := getJSON(a, "tags", &c.Tags); err != nil {
		return Credential{}, false, err
	}
	if err := getJSON(a, "probe", &c.LastProbe); err != nil {
		return Credential{}, false, err
	}
	return c, true, nil
}

func setJSON(a store.Attributes, name string, v any, there bool) error {
	if !there {
		return nil
	}
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encoding a row's %s: %w", name, err)
	}
	a[name] = string(text)
	return nil
}

func getJSON(a store.Attributes, name string, v any) error {
	text := a.Text(name)
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("reading a row's %s: %w", name, err)
	}
	return nil
}

func encodeVersion(c Credential, v Version, condition store.Condition) (store.Write, error) {
	a := store.Attributes{
		"type": v.Type, "public": string(v.Public), "by": v.MadeBy, "by_email": v.MadeEmail,
	}
	a.SetTime("at", v.MadeAt)
	a.SetText("status", v.Status)
	a.SetTime("verified", v.Verified)
	v.Ends.encode(a)
	a.SetText("rejection", v.Rejection)
	if err := setJSON(a, "known", v.Known, len(v.Known) > 0); err != nil {
		return store.Write{}, err
	}
	return store.Write{
		Verb: store.Put,
		Item: store.Item{Key: versionKey(c.Org, c.ID, v.Number), Attributes: a},
		If:   condition,
	}, nil
}

func decodeVersion(i store.Item) (Version, error) {
	a := i.Attributes
	v := Version{
		Type: a.Text("type"), Public: jsontext.Value(a.Text("public")),
		MadeAt: a.Time("at"), MadeBy: a.Int("by"), MadeEmail: a.Text("by_email"),
		Status: a.Text("status"), Verified: a.Time("verified"), Ends: decodeEnds(a),
		Rejection: a.Text("rejection"),
	}
	var ok bool
	if v.Number, ok = versionNumber(i.Key.Sort); !ok {
		return Version{}, errors.New("reading a version's number: its key is malformed")
	}
	return v, getJSON(a, "known", &v.Known)
}

// knownVersion is decodeVersion with the zero Version for a row that is not there.
func knownVersion(i store.Item) (Version, error) {
	if !i.Found() {
		return Version{}, nil
	}
	return decodeVersion(i)
}

func encodeSecret(org, id, sv int64, r envelope.Record) store.Write {
	a := store.Attributes{"dk": r.DataKey, "kid": r.KeyID, "ct": r.Ciphertext}
	a.SetText("kmid", r.KeyMaterialID)
	return store.Write{Verb: store.Put, Item: store.Item{Key: secretKey(org, id, sv), Attributes: a}, If: store.Absent()}
}

func decodeSecret(i store.Item) envelope.Record {
	a := i.Attributes
	return envelope.Record{
		DataKey: a.Bytes("dk"), KeyID: a.Text("kid"), KeyMaterialID: a.Text("kmid"), Ciphertext: a.Bytes("ct"),
	}
}

func remove(k store.Key, condition store.Condition) store.Write {
	return store.Write{Verb: store.Delete, Item: store.Item{Key: k}, If: condition}
}

// indexRows makes the writes that bring the index rows from those of a credential
// before a change to those after it; the zero Credential has none. They have no
// conditions: the credential's own row, which is in the same commit, has one.
func indexRows(before, after Credential) []store.Write {
	var writes []store.Write
	old, now := index(before), index(after)
	for _, row := range old {
		if !slices.ContainsFunc(now, func(other store.Item) bool { return other.Key == row.Key }) {
			writes = append(writes, remove(row.Key, store.Always()))
		}
	}
	for _, row := range now {
		if !slices.ContainsFunc(old, func(other store.Item) bool { return reflect.DeepEqual(other, row) }) {
			writes = append(writes, store.Write{Verb: store.Put, Item: row, If: store.Always()})
		}
	}
	return writes
}

// index lists a credential for its organisation, its owner and the schedule.
func index(c Credential) []store.Item {
	if c.ID == 0 {
		return nil
	}
	rows := []store.Item{
		{Key: orgIndexKey(c.Org, c.ID), Attributes: store.Attributes{"owner": c.Owner}},
		{Key: userIndexKey(c.Org, c.Owner, c.ID), Attributes: store.Attributes{"role": access.Owner.String()}},
	}
	for _, a := range c.accessors {
		if k, ok := a.index(c); ok {
			row := store.Attributes{"role": a.Role.String(), "owner": c.Owner}
			row.SetTime("expires", a.Expires)
			rows = append(rows, store.Item{Key: k, Attributes: row})
		}
	}
	if due, ok := dueKey(c.Org, c.ID, c.Interval); ok {
		rows = append(rows, store.Item{Key: due, Attributes: store.Attributes{}})
	}
	return rows
}

func binding(c Credential, sv int64) envelope.Binding {
	return envelope.Binding{Org: c.Org, Credential: c.ID, Version: sv, Type: c.Type}
}

// encodeResult puts a result into the nth place of the history.
func encodeResult(c Credential, n int64, r probe.Result) (store.Write, error) {
	full, err := json.Marshal(r, json.Deterministic(true))
	if err != nil {
		return store.Write{}, fmt.Errorf("encoding a probe's result: %w", err)
	}
	a := store.Attributes{"result": string(full)}
	a.SetTime("at", r.CheckedAt)
	return store.Write{Verb: store.Put, Item: store.Item{Key: resultKey(c.Org, c.ID, n), Attributes: a}, If: store.Always()}, nil
}
