package probe_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// browser shows what the test says.
type browser struct {
	prober
	tree   func(ctx context.Context, a *probe.Attempt) (probe.Tree, probe.Finding)
	sample probe.Sample
}

func (b browser) Places() probe.Places { return probe.InFiles }

func (b browser) Tree(ctx context.Context, a *probe.Attempt, _ probe.Place, _ int) (probe.Tree, probe.Finding) {
	return b.tree(ctx, a)
}

func (b browser) Sample(context.Context, *probe.Attempt, probe.Place) (probe.Sample, probe.Finding) {
	return b.sample, probe.Found(probe.CodeOK, "")
}

func looker(t *testing.T, p probe.Prober) *probe.Runner {
	t.Helper()
	return probe.NewRunner(map[string]probe.Prober{"x": p}, probetest.Loopback(t, nil), probe.Config{Budget: short})
}

// What a look ends with must follow from its stages, comes without a verdict
// unless the secret was refused, and brings something to show only when all
// went well.
func TestLooks(t *testing.T) {
	there := probe.Tree{Nodes: []probe.Node{{Name: "a", Kind: probe.Folder}}}
	after := func(stage string, failed error, f probe.Finding) browser {
		return browser{tree: func(_ context.Context, a *probe.Attempt) (probe.Tree, probe.Finding) {
			if stage != "" {
				_ = a.Stage(stage, func() error { return failed })
			}
			return there, f
		}}
	}
	rejected := probe.Found(probe.CodeAuthRejected, "")
	missing := probe.Found(probe.WarnResourceNotFound, "There is nothing. Look elsewhere.").Asked(probe.AskedPath)
	for name, row := range map[string]struct {
		p       probe.Prober
		want    probe.Code
		pointer string
		shown   bool
	}{
		"shown":                     {after(probe.Auth, nil, probe.Found(probe.CodeOK, "")), probe.CodeOK, "", true},
		"shown without a sign-in":   {after("", nil, probe.Found(probe.CodeOK, "")), probe.CodeOK, "", true},
		"refused":                   {after(probe.Auth, rejected, rejected), probe.CodeAuthRejected, "", false},
		"refused without a sign-in": {after("", nil, rejected), probe.CodeProbeInternal, "", false},
		"shown though it failed":    {after(probe.Auth, rejected, probe.Found(probe.CodeOK, "")), probe.CodeProbeInternal, "", false},
		"not there":                 {after(probe.Access, missing, missing), probe.WarnResourceNotFound, "/path", false},
		"not allowed":               {after(probe.Auth, nil, probe.Found(probe.WarnScopeMissing, "").At("bucket")), probe.WarnScopeMissing, "/credentials/bucket", false},
		"nothing concluded":         {after("", nil, probe.Finding{}), probe.CodeProbeInternal, "", false},
		"panics": {browser{tree: func(context.Context, *probe.Attempt) (probe.Tree, probe.Finding) {
			panic(probetest.Foreign)
		}}, probe.CodeProbeInternal, "", false},
		"hangs": {browser{tree: func(context.Context, *probe.Attempt) (probe.Tree, probe.Finding) {
			time.Sleep(2 * short)
			return there, probe.Found(probe.CodeOK, "")
		}}, probe.CodeProbeTimeout, "", false},
		"cannot be looked into": {prober(nil), probe.CodeNoProbeForType, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			tree, r := looker(t, row.p).Tree(t.Context(), "x", plain{}, probe.Place{}, 1)
			if r.Code != row.want || r.Pointer != row.pointer || (len(tree.Nodes) > 0) != row.shown {
				t.Errorf("%s at %q, %d nodes; want %s at %q, shown %v", r.Code, r.Pointer, len(tree.Nodes), row.want, row.pointer, row.shown)
			}
			if r.Code != probe.CodeOK && (r.Status != map[probe.Verdict]int{probe.Invalid: 403, probe.Unknown: 400}[r.Code.Verdict()] || !strings.HasSuffix(r.Message, ".")) {
				t.Errorf("status %d, message %q", r.Status, r.Message)
			}
			if strings.Contains(fmt.Sprintf("%+v", r), probetest.Foreign) {
				t.Error("the result holds foreign text")
			}
		})
	}
}

// Whatever a prober hands over, no more is shown than the limits say, nothing
// deeper than was asked, as text that can be sent.
func TestWhatIsShownHasLimits(t *testing.T) {
	odd, long := "a\xffb"+strings.Repeat("é", 1000), strings.Repeat("x", 1025)
	column := probe.Column{Name: odd, Type: odd, Default: &odd}
	tree := probe.Tree{Nodes: []probe.Node{{Name: odd, Kind: probe.Database, Nodes: []probe.Node{
		{Name: "t", Kind: probe.Table, Columns: []probe.Column{column}, Nodes: []probe.Node{{Name: "too deep"}}},
	}}}}
	for range probe.MaxNodes {
		tree.Nodes = append(tree.Nodes, probe.Node{Name: "x", Kind: probe.Database})
	}
	sample := probe.Sample{ContentType: odd, Bytes: make([]byte, probe.MaxSampleBytes+1), Columns: []string{odd}}
	for range probe.MaxSampleRows + 1 {
		sample.Rows = append(sample.Rows, []any{strings.Repeat("é", probe.MaxCellBytes), nil, int64(7)})
	}
	r := looker(t, browser{sample: sample, tree: func(context.Context, *probe.Attempt) (probe.Tree, probe.Finding) {
		return tree, probe.Found(probe.CodeOK, "")
	}})
	got, _ := r.Tree(t.Context(), "x", plain{}, probe.Place{}, 2)
	first := got.Nodes[0]
	if !got.Truncated || len(got.Nodes) != probe.MaxNodes-2 || len(first.Nodes) != 1 || first.Nodes[0].Nodes != nil {
		t.Errorf("truncated %v, %d nodes, the first with %+v", got.Truncated, len(got.Nodes), first.Nodes)
	}
	texts := []string{first.Name, first.Nodes[0].Columns[0].Name, first.Nodes[0].Columns[0].Type, *first.Nodes[0].Columns[0].Default}
	seen, _ := r.Sample(t.Context(), "x", plain{}, probe.Place{})
	if !seen.Truncated || len(seen.Bytes) != probe.MaxSampleBytes || len(seen.Rows) != probe.MaxSampleRows || seen.Rows[0][2] != int64(7) {
		t.Errorf("truncated %v, %d bytes, %d rows", seen.Truncated, len(seen.Bytes), len(seen.Rows))
	}
	cell, _ := seen.Rows[0][0].(string)
	for _, text := range append(texts, seen.ContentType, seen.Columns[0], cell) {
		if !utf8.ValidString(text) || len(text) > 1024 || len(text) < 1022 {
			t.Errorf("%d bytes, valid %v", len(text), utf8.ValidString(text))
		}
	}
	few := looker(t, browser{tree: func(context.Context, *probe.Attempt) (probe.Tree, probe.Finding) {
		return probe.Tree{Nodes: tree.Nodes[:1]}, probe.Found(probe.CodeOK, "")
	}})
	if got, _ := few.Tree(t.Context(), "x", plain{}, probe.Place{}, 2); got.Truncated {
		t.Error("all of it is shown, and called cut")
	}
	for _, odd := range []probe.Node{
		{Name: long, Kind: probe.File},
		{Name: "t", Kind: probe.Table, Columns: []probe.Column{{Name: "c", Type: "t", Default: &long}}},
	} {
		cut := looker(t, browser{tree: func(context.Context, *probe.Attempt) (probe.Tree, probe.Finding) {
			return probe.Tree{Nodes: []probe.Node{odd}}, probe.Found(probe.CodeOK, "")
		}})
		if got, _ := cut.Tree(t.Context(), "x", plain{}, probe.Place{}, 2); !got.Truncated {
			t.Errorf("a text of %s is cut, and nothing tells it", odd.Name[:1])
		}
	}
	full := probe.Sample{Bytes: make([]byte, probe.MaxSampleBytes), Columns: []string{strings.Repeat("x", 1024)}}
	for range probe.MaxSampleRows {
		full.Rows = append(full.Rows, []any{strings.Repeat("x", probe.MaxCellBytes)})
	}
	if got, _ := looker(t, browser{sample: full}).Sample(t.Context(), "x", plain{}, probe.Place{}); got.Truncated || len(got.Bytes) != probe.MaxSampleBytes || len(got.Rows) != probe.MaxSampleRows {
		t.Errorf("what just fits is cut: %d bytes, %d rows, truncated %v", len(got.Bytes), len(got.Rows), got.Truncated)
	}
	wide := looker(t, browser{sample: probe.Sample{Columns: []string{strings.Repeat("x", 1025)}}})
	if got, _ := wide.Sample(t.Context(), "x", plain{}, probe.Place{}); !got.Truncated {
		t.Error("a column's name is cut, and nothing tells it")
	}
}
