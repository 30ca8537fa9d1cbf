package architecture

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// link matches a link of Markdown to a file of the repository or to a heading.
var link = regexp.MustCompile(`\]\(([^):\s]+)\)`)

// documents returns every document of the repository, by its path from the top.
func documents(t *testing.T) map[string]string {
	t.Helper()
	pages, top := map[string]string{}, root(t)
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(top, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s finds no document: %v", pattern, err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel(top, path)
			if err != nil {
				t.Fatal(err)
			}
			pages[filepath.ToSlash(name)] = string(text)
		}
	}
	return pages
}

// anchor returns the anchor that GitHub gives a heading.
func anchor(heading string) string {
	heading = strings.ToLower(strings.TrimSpace(strings.TrimLeft(heading, "#")))
	return strings.ReplaceAll(regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(heading, ""), " ", "-")
}

// TestLinks holds every link of a document to a file, and to a heading in it.
func TestLinks(t *testing.T) {
	pages, top := documents(t), root(t)
	for name, text := range pages {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			path, fragment, _ := strings.Cut(m[1], "#")
			target := name
			if path != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), path))
			}
			if _, err := os.Stat(filepath.Join(top, target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, m[1])
				continue
			}
			if fragment == "" {
				continue
			}
			found := false
			for line := range strings.Lines(pages[target]) {
				found = found || strings.HasPrefix(line, "#") && anchor(line) == fragment
			}
			if !found {
				t.Errorf("%s links to %s, and there is no such heading", name, m[1])
			}
		}
	}
}

// TestIndexes holds the indexes of documents to the files beside them.
func TestIndexes(t *testing.T) {
	pages := documents(t)
	for name := range pages {
		dir, file := filepath.Split(name)
		index := dir + "README.md"
		if dir == "" || file == "README.md" {
			continue
		}
		if n := strings.Count(pages[index], "]("+file+")"); n != 1 {
			t.Errorf("%s has %d links to %s, want 1", index, n, file)
		}
	}
}
