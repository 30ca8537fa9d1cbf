package objectstore_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/objectstore"
	"credence/shared/probe/probetest"
)

const quotes = "x\"; DROP TABLE y; --`'"

// What keys make of folders and files.
func TestTree(t *testing.T) {
	plain := []string{"a.csv:3", "in/one:1", "in/two:2", "in/deep/er/three:3", "z:0"}
	for name, row := range map[string]struct {
		keys  []string
		at    string
		depth int
		want  string
	}{
		"depth 1":         {plain, "", 1, `"a.csv":3 "in"{} "z":0`},
		"depth 2":         {plain, "", 2, `"a.csv":3 "in"{"deep"{} "one":1 "two":2} "z":0`},
		"depth 3":         {plain, "", 3, `"a.csv":3 "in"{"deep"{"er"{}} "one":1 "two":2} "z":0`},
		"depth 10":        {plain, "", 10, `"a.csv":3 "in"{"deep"{"er"{"three":3}} "one":1 "two":2} "z":0`},
		"a folder":        {plain, "in", 1, `"deep"{} "one":1 "two":2`},
		"with its slash":  {plain, "in/", 1, `"deep"{} "one":1 "two":2`},
		"a folder, deep":  {plain, "in/deep", 2, `"er"{"three":3}`},
		"a file":          {plain, "in/two", 1, `"two":2`},
		"a file, deep":    {plain, "in/two", 10, `"two":2`},
		"nothing":         {nil, "", 10, ``},
		"its marker":      {[]string{"in/:0"}, "in", 10, ``},
		"markers":         {[]string{"in/:0", "in/more/:0", "in/x:1"}, "", 10, `"in"{"more"{} "x":1}`},
		"marker, depth 1": {[]string{"in/:0", "in/more/:0"}, "in", 1, `"more"{}`},

		"a marker with content": {[]string{"in/:5", "in/x:1"}, "", 10, `"in"{"":5 "x":1}`},
		"the same, at it":       {[]string{"in/:5", "in/x:1"}, "in/", 1, `"":5 "x":1`},
		"empty segments":        {[]string{"a//b:1", "a/b:2", "a///c:3"}, "", 10, `"a"{""{""{"c":3} "b":1} "b":2}`},
		"empty segments, at":    {[]string{"a//b:1", "a/b:2"}, "a//", 10, `"b":1`},
		"a slash before":        {[]string{"/x:1", "//y:2"}, "", 10, `""{""{"y":2} "x":1}`},
		"a slash before, at":    {[]string{"/x:1", "//y:2"}, "/", 10, `""{"y":2} "x":1`},
		"only slashes":          {[]string{"/:0", "//:7"}, "", 10, `""{""{"":7}}`},
		"one name, two things":  {[]string{"a:1", "a/b:2"}, "", 10, `"a":1 "a/"{"b":2}`},
		"the folder of them":    {[]string{"a:1", "a/b:2"}, "a/", 10, `"b":2`},
		"and the other":         {[]string{"a:1", "a/b:2"}, "a", 10, `"b":2`},
		"dots":                  {[]string{"./a:1", "../b:2", "c/../d:3", "..:4"}, "", 10, `"."{"a":1} "..":4 "../"{"b":2} "c"{".."{"d":3}}`},
		"quotes":                {[]string{quotes + "/" + quotes + ":1"}, quotes, 1, `"x\"; DROP TABLE y; --` + "`" + `'":1`},
		"odd letters":           {[]string{"ü ber/\n\t\x01:1", "日本/😀:2", "a+b%20c&d?e#f\\g:3"}, "", 10, `"a+b%20c&d?e#f\\g":3 "ü ber"{"\n\t\x01":1} "日本"{"😀":2}`},
		"like it, and not it":   {[]string{"in-1:1", "inside/x:1"}, "", 1, `"in-1":1 "inside"{}`},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{t: t, buckets: map[string]probetest.Bucket{"b": bucketOf(row.keys...)}}
			tree, err := m.tree(in(row.at), row.depth)
			if got := probetest.Outline(tree.Nodes); err != nil || got != row.want || tree.Truncated {
				t.Errorf("%v, truncated %v\n got %s\nwant %s", err, tree.Truncated, got, row.want)
			}
			if row.depth == 1 && m.asked[0] != "b/"+folder(row.at) || row.depth > 1 && m.asked[0] != "b/"+folder(row.at)+" flat" {
				t.Errorf("asked %q", m.asked)
			}
			// The same, level by level.
			m = &memory{t: t, buckets: m.buckets, answer: func(q objectstore.Query, page *objectstore.Page, n int) {
				if n == 1 && q.Flat {
					page.Objects, page.Next = page.Objects[:min(len(page.Objects), 1)], "x"
				}
			}}
			tree, err = m.tree(in(row.at), row.depth)
			if got := probetest.Outline(tree.Nodes); err != nil || got != row.want || tree.Truncated {
				t.Errorf("level by level: %v, truncated %v\n got %s\nwant %s", err, tree.Truncated, got, row.want)
			}
		})
	}
}

func folder(key string) string {
	if key == "" || strings.HasSuffix(key, "/") {
		return key
	}
	return key + "/"
}

// A file's times come through; a folder has none.
func TestTreeTellsTimes(t *testing.T) {
	made, changed := time.Unix(1700000000, 0), time.Unix(1800000000, 0)
	m := &memory{t: t, buckets: map[string]probetest.Bucket{"b": {"in/x": {Content: "abc", Created: made, Modified: changed}}}}
	tree, err := m.tree(in(""), 2)
	x := found(tree.Nodes, "in", "x")
	if err != nil || x == nil || !x.Created.Equal(made) || !x.Modified.Equal(changed) || !tree.Nodes[0].Modified.IsZero() {
		t.Errorf("%v, %+v", err, tree)
	}
}

// Where no bucket is named, they are the uppermost folders.
func TestTreeOfBuckets(t *testing.T) {
	scope := probe.Found(probe.WarnScopeMissing, "").Asked(probe.AskedPath)
	all := map[string]probetest.Bucket{"one": bucketOf("x:1", "in/y:2"), "two": bucketOf(), "far": bucketOf("z:1")}
	for depth, want := range map[int]string{
		1: `"far"{} "one"{} "two"{}`,
		2: `"far"{} "one"{"in"{} "x":1} "two"{}`,
		3: `"far"{} "one"{"in"{"y":2} "x":1} "two"{}`,
	} {
		m := &memory{t: t, buckets: all, refuse: map[string]error{"far/": scope}}
		tree, err := m.tree(objectstore.Location{}, depth)
		if got := probetest.Outline(tree.Nodes); err != nil || got != want || tree.Truncated != (depth > 1) {
			t.Errorf("depth %d: %v, truncated %v\n got %s\nwant %s", depth, err, tree.Truncated, got, want)
		}
	}
}

// More than one attempt can ask for is cut, breadth first, and said to be.
func TestTreeIsBounded(t *testing.T) {
	long := strings.Repeat("ü", 500)
	for name, row := range map[string]struct {
		keys      []string
		at        string
		depth     int
		least     int // nodes
		most      int
		truncated bool
		has       []string // a path of names that must be there
	}{
		"a thousand":            {many(1000, "f%04d:1"), "", 10, 1000, 1000, false, nil},
		"a thousand, depth 1":   {many(1000, "f%04d:1"), "", 1, 1000, 1000, false, nil},
		"and one":               {many(1001, "f%04d:1"), "", 10, 1001, 1001, false, nil},
		"and one, depth 1":      {many(1001, "f%04d:1"), "", 1, 1001, 1001, false, nil},
		"far more":              {many(20000, "f%05d:1"), "", 1, 1500, 5000, true, nil},
		"far more, deep":        {many(20000, "f%05d:1"), "", 10, 1500, 5000, true, nil},
		"far more in a folder":  {append(many(20000, "a/f%05d:1"), "z/x:1"), "", 2, 1500, 5000, true, []string{"z", "x"}},
		"a file behind folders": {append(many(3000, "a/%04d/x:1"), "z:1"), "", 3, 1000, 5000, true, []string{"z"}},
		"many folders":          {many(2000, "d%04d/x:1"), "", 2, 2000, 5000, true, []string{"d1100"}},
		"many folders, depth 1": {many(2000, "d%04d/x:1"), "", 1, 2000, 2000, false, []string{"d1999"}},
		"deep and narrow":       {many(1100, "a/b/c/d/e/f/g/h/i/j/k/%04d:1"), "", 10, 10, 10, false, []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}},
		"deep and wide":         {many(999, "%04[1]d/a/b/c/d/e/f/g/h:1"), "", 10, 5000, 5000, true, nil},
		"long keys":             {many(90, long+"%02d:1"), "", 10, 90, 90, false, nil},
		"more long keys":        {many(200, long+"%03d:1"), "", 10, 125, 200, true, nil},
		"long keys in the end":  {append(many(1100, "%04d/x:1"), many(900, "x/"+long+"%03d:1")...), "", 2, 1000, 5000, true, []string{"x"}},
		"a place of many":       {many(20000, "in/f%05d:1"), "in", 3, 1500, 5000, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &memory{t: t, buckets: map[string]probetest.Bucket{"b": bucketOf(row.keys...)}}
			tree, err := m.tree(in(row.at), row.depth)
			n := count(tree.Nodes)
			if err != nil || n < row.least || n > row.most || tree.Truncated != row.truncated {
				t.Errorf("%v, %d nodes, truncated %v", err, n, tree.Truncated)
			}
			if row.has != nil && found(tree.Nodes, row.has...) == nil {
				t.Errorf("%q is not there", row.has)
			}
			t.Logf("%d nodes by %d requests, %d bytes", n, len(m.asked), m.bytes)
		})
	}
}

// What one place refuses, or a store in the middle of a tree, leaves the rest
// standing; what is wrong with the store or the secret does not.
func TestTreeRefused(t *testing.T) {
	keys := append(many(1100, "a/%04d:1"), "b/x:1", "c/x:1", "d/e/x:1")
	scope := probe.Found(probe.WarnScopeMissing, "").Asked(probe.AskedPath)
	for name, row := range map[string]struct {
		refuse string
		err    error
		at     string
		want   probe.Code // "" for a tree
		has    bool       // c/x, which comes later
	}{
		"nothing":             {"", nil, "", "", true},
		"a folder":            {"b/b/", scope, "", "", true},
		"a folder is gone":    {"b/b/", probe.Found(probe.WarnResourceNotFound, ""), "", "", true},
		"too often":           {"b/a/", probe.Found(probe.CodeRateLimited, ""), "", "", true},
		"fails":               {"b/a/", probe.Found(probe.CodeTargetUnavailable, ""), "", "", true},
		"breaks off":          {"b/b/", probe.Found(probe.CodeTCPReset, ""), "", probe.CodeTCPReset, false},
		"the secret is gone":  {"b/b/", probe.Found(probe.CodeAuthRejected, ""), "", probe.CodeAuthRejected, false},
		"no error of ours":    {"b/b/", errors.New(probetest.Foreign), "", "-", false},
		"all":                 {"b/", scope, "", probe.WarnScopeMissing, false},
		"the place":           {"b/b/", scope, "b", probe.WarnScopeMissing, false},
		"all, too often":      {"b/", probe.Found(probe.CodeRateLimited, ""), "", probe.CodeRateLimited, false},
		"not there":           {"", nil, "nowhere", probe.WarnResourceNotFound, false},
		"not there, as it":    {"", nil, "b/", "", false},
		"no such folder":      {"", nil, "b/x/", probe.WarnResourceNotFound, false},
		"half a name":         {"", nil, "d/e/", "", false},
		"a name's beginning":  {"", nil, "a/000", probe.WarnResourceNotFound, false},
		"the file is refused": {"b/b/x", scope, "b/x", probe.WarnScopeMissing, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{t: t, buckets: map[string]probetest.Bucket{"b": bucketOf(keys...)}, refuse: map[string]error{row.refuse: row.err}}
			tree, err := m.tree(in(row.at), 2)
			var f probe.Finding
			code := probe.Code("")
			if errors.As(err, &f) {
				code = f.Code
			} else if err != nil {
				code = "-"
			}
			if code != row.want || (found(tree.Nodes, "c", "x") != nil) != row.has {
				t.Errorf("got %q, %s", code, probetest.Outline(tree.Nodes))
			}
			if row.refuse != "" && err == nil && !tree.Truncated {
				t.Error("what was refused is not told of")
			}
		})
	}
}

// A store that asks to be left alone is, and what came before is shown.
func TestTreeLeavesABusyStore(t *testing.T) {
	for _, code := range []probe.Code{probe.CodeRateLimited, probe.CodeTargetUnavailable} {
		busy := map[string]error{"b/0000/": probe.Found(code, "")}
		m := &memory{t: t, buckets: map[string]probetest.Bucket{"b": bucketOf(many(1100, "%04d/x:1")...)}, refuse: busy}
		tree, err := m.tree(in(""), 2)
		if err != nil || !tree.Truncated || len(m.asked) != 2+4 || found(tree.Nodes, "0999") == nil {
			t.Errorf("%s: %v, truncated %v, asked %q", code, err, tree.Truncated, m.asked)
		}
	}
}

// Stores that answer what they were not asked.
func TestTreeOfAHostileStore(t *testing.T) {
	for name, row := range map[string]struct {
		answer func(q objectstore.Query, page *objectstore.Page, n int)
		fails  bool
	}{
		"another place's keys": {func(_ objectstore.Query, page *objectstore.Page, _ int) {
			page.Objects = []objectstore.Object{{Key: "out/x"}}
		}, true},
		"another place's folders": {func(_ objectstore.Query, page *objectstore.Page, _ int) { page.Folders = []string{"out/"} }, true},
		"the place itself":        {func(q objectstore.Query, page *objectstore.Page, _ int) { page.Folders = []string{q.Prefix} }, true},
		"a folder without end":    {func(q objectstore.Query, page *objectstore.Page, _ int) { page.Folders = []string{q.Prefix + "x"} }, true},
		"less than nothing": {func(q objectstore.Query, page *objectstore.Page, _ int) {
			page.Objects = []objectstore.Object{{Key: q.Prefix + "x", Size: -1}}
		}, true},
		"never ends":        {func(_ objectstore.Query, page *objectstore.Page, _ int) { page.Next = "x" }, false},
		"never ends, empty": {func(_ objectstore.Query, page *objectstore.Page, _ int) { *page = objectstore.Page{Next: "x"} }, false},
		"the same folders always": {func(q objectstore.Query, page *objectstore.Page, _ int) {
			page.Folders = []string{q.Prefix + "y/", q.Prefix + "y/"}
		}, false},
		"too much always": {func(q objectstore.Query, page *objectstore.Page, _ int) { page.Bytes = q.Bytes + 1 }, true},
		"too much later": {func(q objectstore.Query, page *objectstore.Page, n int) {
			page.Next = "x"
			page.Bytes += max(0, n-1) * q.Bytes
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, depth := range []int{1, 2, 10} {
				m := &memory{t: t, buckets: map[string]probetest.Bucket{"b": bucketOf("in/x:1", "in/z/x:1")}, answer: row.answer}
				tree, err := m.tree(in("in"), depth)
				var f probe.Finding
				if row.fails && (!errors.As(err, &f) || f.Code != probe.CodeProtocolMismatch) || !row.fails && err != nil {
					t.Errorf("depth %d: %v", depth, err)
				}
				if !row.fails && name != "the same folders always" && !tree.Truncated {
					t.Errorf("depth %d: %s, and not truncated", depth, probetest.Outline(tree.Nodes))
				}
			}
		})
	}
}

// A store that is slow is asked no more when half of the time has gone.
func TestTreeEndsInTime(t *testing.T) {
	m := &memory{t: t, buckets: map[string]probetest.Bucket{"b": bucketOf(many(40, "%02d/x/y:1")...)}}
	m.answer = func(_ objectstore.Query, page *objectstore.Page, n int) {
		time.Sleep(150 * time.Millisecond)
		if n == 1 {
			page.Objects, page.Next, page.Bytes = page.Objects[:1], "x", 400
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	tree, err := objectstore.Tree(ctx, m, in(""), 3)
	if err != nil || ctx.Err() != nil || !tree.Truncated || len(tree.Nodes) != 40 || len(m.asked) >= 12 {
		t.Errorf("%v, %v, truncated %v, %d nodes by %d requests", err, ctx.Err(), tree.Truncated, len(tree.Nodes), len(m.asked))
	}
	if !slices.Contains(m.asked, "b/") || m.most < 2 {
		t.Errorf("asked %q, %d together", m.asked, m.most)
	}
}
