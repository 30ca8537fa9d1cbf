package openapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "make openapi.json.gz anew from source/")

// TestDocumentIsItsSource holds openapi.json.gz to the files that it is made of.
func TestDocumentIsItsSource(t *testing.T) {
	names, err := filepath.Glob("source/*.yaml")
	if err != nil || len(names) < 2 {
		t.Fatalf("found the sources %q: %v", names, err)
	}
	texts := map[string][]byte{}
	for _, name := range names {
		if texts[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	made, err := compose(names, texts)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		var packed bytes.Buffer
		z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // a level that there is
		if _, err := z.Write(made); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("openapi.json.gz", packed.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(made, document(t)) {
		t.Error("openapi.json.gz is not what its sources make: go test ./shared/api/openapi -update")
	}
}

// document is what is compiled in, as JSON.
func document(t testing.TB) []byte {
	t.Helper()
	text, err := unpack(description)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestComposeRefuses shows that sources that contradict each other, or say
// nothing that JSON can, make no document.
func TestComposeRefuses(t *testing.T) {
	for name, c := range map[string]struct{ a, b, says string }{
		"the same operation twice": {"paths: {/a: {get: {x: 1}}}", "paths: {/a: {get: {x: 2}}}", "/paths//a/get"},
		"the same schema twice":    {"components: {schemas: {A: {}}}", "components: {schemas: {A: {}}}", "/components/schemas/A"},
		"another version":          {"openapi: 3.1.0", "openapi: 3.0.0", "/openapi"},
		"a name twice":             {"info: {a: 1, a: 2}", "x: 1", "already defined"},
		"a name that is no text":   {"paths: {/a: {get: {200: {}}}}", "x: 1", "200"},
		"no object":                {"- a", "x: 1", "no object"},
	} {
		_, err := compose([]string{"a", "b"}, map[string][]byte{"a": []byte(c.a), "b": []byte(c.b)})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to name %s", name, err, c.says)
		}
	}
}

// TestCompose shows what is made of anchors, of x- keys and of two files about
// one path.
func TestCompose(t *testing.T) {
	a := "x-all: &all {'500': no, z: [1, 2.5, null, true]}\npaths:\n  /a:\n    get: &get {id: one, <<: *all}\n    put: {id: two, <<: [*get, *all]}\n"
	b := "paths: {/a: {post: {id: three}}, /b: {}}\n"
	got, err := compose([]string{"a", "b"}, map[string][]byte{"a": []byte(a), "b": []byte(b)})
	want := `{"paths":{"/a":{"get":{"id":"one","500":"no","z":[1,2.5,null,true]},"put":{"id":"two","500":"no","z":[1,2.5,null,true]},"post":{"id":"three"}},"/b":{}}}` + "\n"
	if err != nil || string(got) != want {
		t.Errorf("made %s, %v\nwant %s", got, err, want)
	}
}

// compose makes one JSON document of several YAML ones, their members in the
// order written. Paths and components of all stand together; anything else, and
// each operation and component, stands in one of them.
func compose(names []string, texts map[string][]byte) ([]byte, error) {
	whole := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range names {
		var decoded map[string]any // refuses a name that stands twice
		var doc yaml.Node
		if err := errors.Join(yaml.Unmarshal(texts[name], &doc), yaml.Unmarshal(texts[name], &decoded)); err != nil {
			return nil, fmt.Errorf("reading %s, which is no object, or not well formed: %w", name, err)
		}
		part, err := plain(doc.Content[0])
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		part.Content = members(part, func(key string) bool { return !strings.HasPrefix(key, "x-") })
		if err := join(whole, part, ""); err != nil {
			return nil, fmt.Errorf("adding %s: %w", name, err)
		}
	}
	var out bytes.Buffer
	enc := jsontext.NewEncoder(&out, jsontext.EscapeForHTML(false))
	if err := write(enc, whole); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// members are the members of a mapping whose names are wanted, names and values
// in turn.
func members(n *yaml.Node, wanted func(key string) bool) []*yaml.Node {
	var out []*yaml.Node
	for pair := range slices.Chunk(n.Content, 2) {
		if wanted(pair[0].Value) {
			out = append(out, pair...)
		}
	}
	return out
}

// join adds the members of b to a: those of objects inside, for paths and
// components, and each at most once.
func join(a, b *yaml.Node, at string) error {
	for pair := range slices.Chunk(b.Content, 2) {
		key := at + "/" + pair[0].Value
		same := members(a, func(name string) bool { return name == pair[0].Value })
		depth := strings.Count(at, "/")
		shared := pair[0].Value == "paths" || pair[0].Value == "components" || strings.HasPrefix(at, "/paths") || at == "/components"
		switch {
		case same == nil:
			a.Content = append(a.Content, pair...)
		case depth < 2 && shared:
			if err := join(same[1], pair[1], key); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s stands in another file already", key)
		}
	}
	return nil
}

// plain resolves aliases and merge keys (https://yaml.org/type/merge.html): what
// a mapping says itself counts before what it merges, and an earlier source
// before a later one.
func plain(n *yaml.Node) (*yaml.Node, error) {
	if n.Kind == yaml.AliasNode {
		return plain(n.Alias)
	}
	out := *n
	out.Content = nil
	var merged []*yaml.Node
	for i, child := range n.Content {
		c, err := plain(child)
		switch {
		case err != nil:
			return nil, err
		case n.Kind != yaml.MappingNode:
			out.Content = append(out.Content, c)
		case i%2 == 0 && child.Tag != "!!str" && child.Tag != "!!merge":
			return nil, fmt.Errorf("line %d: the name %s is no text: quote it", child.Line, child.Value)
		case n.Content[i-i%2].Tag != "!!merge":
			out.Content = append(out.Content, c)
		case i%2 == 1 && c.Kind == yaml.SequenceNode:
			merged = append(merged, c.Content...)
		case i%2 == 1:
			merged = append(merged, c)
		}
	}
	for _, m := range merged {
		out.Content = append(out.Content, members(m, func(key string) bool {
			return members(&out, func(name string) bool { return name == key }) == nil
		})...)
	}
	return &out, nil
}

// write puts a node without aliases out as JSON.
func write(enc *jsontext.Encoder, n *yaml.Node) error {
	begin, end := jsontext.BeginObject, jsontext.EndObject
	switch n.Kind {
	case yaml.ScalarNode:
		return writeScalar(enc, n)
	case yaml.SequenceNode:
		begin, end = jsontext.BeginArray, jsontext.EndArray
	}
	if err := enc.WriteToken(begin); err != nil {
		return err
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if err := enc.WriteToken(jsontext.String(child.Value)); err != nil {
				return err
			}
			continue
		}
		if err := write(enc, child); err != nil {
			return err
		}
	}
	return enc.WriteToken(end)
}

func writeScalar(enc *jsontext.Encoder, n *yaml.Node) error {
	switch n.Tag {
	case "!!null":
		return enc.WriteToken(jsontext.Null)
	case "!!str", "!!timestamp":
		return enc.WriteToken(jsontext.String(n.Value))
	}
	return enc.WriteValue(jsontext.Value(n.Value)) // numbers, true and false are spelled alike
}
