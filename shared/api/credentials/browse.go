package credentials

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"time"
	"unicode/utf8"

	"credence/shared/credential"
	"credence/shared/httpapi"
	"credence/shared/probe"
)

// place are the fields of a look. Names of other systems are kept as they were
// sent: to those, another spelling is another name.
func place(o *httpapi.Object) probe.Place {
	exact := httpapi.TextRule{Max: 1024, Exact: true}
	var at probe.Place
	at.Path, _ = o.Text(probe.AskedPath, exact)
	at.Database, _ = o.Text(probe.AskedDatabase, exact)
	at.Table, _ = o.Text(probe.AskedTable, exact)
	return at
}

// tree answers what lies in the system, as deep as was asked.
func (a Probing) tree(ctx context.Context, r *httpapi.Request, l *credential.ForProbe) (httpapi.Answer, error) {
	o, err := r.Body("depth", probe.AskedPath, probe.AskedDatabase, probe.AskedTable)
	if err != nil {
		return httpapi.Answer{}, err
	}
	o.Require("depth")
	depth, _ := o.Int("depth", 1, probe.MaxDepth)
	look := credential.Look{At: place(o), Depth: int(depth)}
	if err := o.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	tree, res, err := a.Tester.Tree(ctx, r.Caller, l, look)
	if err != nil {
		return httpapi.Answer{}, err
	}
	if res.Code != probe.CodeOK {
		return notShown(res), nil
	}
	nodes := nodesOf(tree.Nodes)
	return httpapi.Answer{Body: shownTree{shownOf(res, tree.Truncated), nodes, nodes}}, nil
}

// sample answers the beginning of a file, or some rows of a table.
func (a Probing) sample(ctx context.Context, r *httpapi.Request, l *credential.ForProbe) (httpapi.Answer, error) {
	o, err := r.BodyOf(httpapi.Names{Known: []string{probe.AskedPath, probe.AskedDatabase, probe.AskedTable}, Ignored: []string{"depth"}})
	if err != nil {
		return httpapi.Answer{}, err
	}
	look := credential.Look{At: place(o)}
	if err := o.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	sample, res, err := a.Tester.Sample(ctx, r.Caller, l, look)
	if err != nil {
		return httpapi.Answer{}, err
	}
	if res.Code != probe.CodeOK {
		return notShown(res), nil
	}
	return httpapi.Answer{Body: shownSample{shownOf(res, sample.Truncated), sampleOf(sample)}}, nil
}

// notShown answers a look that ended otherwise as a probe that did is answered,
// so that clients read one form.
func notShown(res probe.Result) httpapi.Answer {
	return httpapi.Answer{Status: res.Status, Body: resultOf(res)}
}

// shown is what is said of every look. It says nothing of a verdict: that is a
// probe's to find.
type shown struct {
	Status         string            `json:"status"`
	Message        string            `json:"message"`
	ConnectionType string            `json:"connection_type"`
	Truncated      bool              `json:"truncated"` // there is more than is shown
	Warnings       []warning         `json:"warnings"`
	Stages         []stage           `json:"stages"`
	CheckedAt      httpapi.Timestamp `json:"checked_at"`
}

func shownOf(r probe.Result, truncated bool) shown {
	res := resultOf(r)
	return shown{"ok", "Ok", res.ConnectionType, truncated, res.Warnings, res.Stages, res.CheckedAt}
}

// shownTree has the tree under both names that clients look for.
type shownTree struct {
	shown
	Object map[string]any `json:"object"`
	Output map[string]any `json:"output"`
}

// node is one thing of a tree but a file. Value is what is in it: nodes by
// name, or, of a table, a list of columns.
type node struct {
	Type  probe.NodeKind `json:"type"`
	Value any            `json:"value"`
}

// file is a node too. Its times are milliseconds since 1970, null where the
// system does not tell.
type file struct {
	Type    probe.NodeKind `json:"type"`
	Size    int64          `json:"size"`
	Created *int64         `json:"created_at"`
	Updated *int64         `json:"updated_at"`
	Value   struct{}       `json:"value"`
}

type column struct {
	Name       string  `json:"name"`
	PrimaryKey bool    `json:"primaryKey"`
	Type       string  `json:"type"`
	Default    *string `json:"defaultValue"`
}

func nodesOf(list []probe.Node) map[string]any {
	nodes := make(map[string]any, len(list))
	for _, n := range list {
		switch n.Kind {
		case probe.Table:
			nodes[n.Name] = node{n.Kind, columnsOf(n.Columns)}
		case probe.File:
			nodes[n.Name] = file{Type: n.Kind, Size: n.Size, Created: epoch(n.Created), Updated: epoch(n.Modified)}
		default:
			nodes[n.Name] = node{n.Kind, nodesOf(n.Nodes)}
		}
	}
	return nodes
}

func columnsOf(list []probe.Column) []column {
	columns := make([]column, 0, len(list))
	for _, c := range list {
		columns = append(columns, column{c.Name, c.PrimaryKey, c.Type, c.Default})
	}
	return columns
}

func epoch(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}

type shownSample struct {
	shown
	Output output `json:"output"`
}

// output is a sample. The response is the text of a file, in base64 where it is
// none, or a table.
type output struct {
	ContentType string `json:"contentType"`
	StatusCode  int    `json:"statusCode"`
	Encoding    string `json:"encoding,omitzero"`
	Path        string `json:"path,omitzero"` // of the file shown, where a folder was asked for
	Response    any    `json:"response"`
}

type table struct {
	Columns []string `json:"columns"`
	Data    [][]any  `json:"data"`
}

func sampleOf(s probe.Sample) output {
	out := output{ContentType: s.ContentType, StatusCode: http.StatusOK, Path: s.Path}
	switch {
	case s.Columns != nil:
		t := table{s.Columns, s.Rows}
		if t.Data == nil {
			t.Data = [][]any{}
		}
		out.Response = t
	case utf8.Valid(s.Bytes) && !bytes.ContainsRune(s.Bytes, 0):
		out.Response = string(s.Bytes)
	default:
		out.Encoding, out.Response = "base64", base64.StdEncoding.EncodeToString(s.Bytes)
	}
	return out
}
