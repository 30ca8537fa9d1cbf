package objectstore_test

import (
	"strings"
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/objectstore"
	"credence/shared/probe/probetest"
)

// Whatever keys a store has, its tree is of them all and of nothing else, by
// one request or level by level: the names on the way to a file make its key.
func FuzzTree(f *testing.F) {
	for _, seed := range []string{"a\nb/c\nb/d/e", "a\na/b\na/", "//\n/\na//b", "x\"; --\n./..\n", "ü/😀\n\xff/\xfe", ""} {
		f.Add(seed, uint8(3), true)
		f.Add(seed, uint8(1), false)
	}
	f.Fuzz(func(t *testing.T, text string, deep uint8, flat bool) {
		depth := 1 + int(deep)%probe.MaxDepth
		b := probetest.Bucket{}
		for i, key := range strings.Split(text, "\n") {
			if key != "" && len(key) <= 1024 && i < 200 {
				b[key] = probetest.Stored{Content: strings.Repeat("x", i%3)}
			}
		}
		m := &memory{t: t, buckets: map[string]probetest.Bucket{"b": b}}
		if !flat {
			m.answer = func(_ objectstore.Query, page *objectstore.Page, n int) {
				if n == 1 && depth > 1 {
					page.Objects, page.Next = page.Objects[:min(len(page.Objects), 1)], "x"
				}
			}
		}
		tree, err := m.tree(in(""), depth)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]bool{}
		gather(t, tree.Nodes, "", files)
		for key := range files {
			if _, ok := b[key]; !ok {
				t.Fatalf("%q is in the tree alone", key)
			}
		}
		for key, o := range b {
			marker := strings.HasSuffix(key, "/") && o.Content == ""
			expected := !marker && strings.Count(key, "/") < depth
			if files[key] && !expected || expected && !files[key] && !tree.Truncated {
				t.Fatalf("%q is in the tree: %v", key, files[key])
			}
		}
	})
}

// gather puts the keys of all files into files, and holds that no two nodes
// beside one another have the same name.
func gather(t *testing.T, nodes []probe.Node, path string, files map[string]bool) {
	t.Helper()
	names := map[string]bool{}
	for _, n := range nodes {
		if names[n.Name] {
			t.Fatalf("two are called %q", n.Name)
		}
		names[n.Name] = true
		if n.Kind == probe.File {
			files[path+n.Name] = true
			continue
		}
		gather(t, n.Nodes, path+strings.TrimSuffix(n.Name, "/")+"/", files)
	}
}
