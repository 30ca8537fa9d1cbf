package objectstore

import (
	"cmp"
	"slices"
	"strings"

	"credence/shared/probe"
)

// folder is one that is being filled. A folder and a file may have the same
// name ("a" beside "a/b").
type folder struct {
	folders map[string]*folder
	files   map[string]Object
}

// forest is a tree that grows by keys, in any order and any number of times.
type forest struct {
	folder
	root  string // the prefix of everything in it
	depth int    // of levels that are kept
	left  int    // nodes that still fit
	full  bool   // one did not
	known bool   // anything was there, be it the folder's own marker
}

func newForest(root string, depth int) *forest {
	return &forest{root: root, depth: depth, left: probe.MaxNodes}
}

// add puts an object into its folder, as far as the depth reaches. A key that
// ends in "/" and has no content is what stores keep a folder by; one that has
// content is a file without a name.
func (f *forest) add(o Object) {
	f.known = true
	path := strings.Split(strings.TrimPrefix(o.Key, f.root), "/")
	in, level := f.descend(path[:len(path)-1])
	name := path[len(path)-1]
	if in == nil || level >= f.depth || name == "" && o.Size == 0 {
		return
	}
	if _, ok := in.files[name]; !ok {
		if !f.fits() {
			return
		}
		if in.files == nil {
			in.files = map[string]Object{}
		}
	}
	in.files[name] = o
}

// addFolder makes a folder of a prefix that ends in "/".
func (f *forest) addFolder(prefix string) {
	f.known = true
	path := strings.Split(strings.TrimPrefix(prefix, f.root), "/")
	f.descend(path[:len(path)-1])
}

// descend walks down to a folder and makes what is missing on the way: nil
// where there is no place left. It stops where the depth does.
func (f *forest) descend(path []string) (*folder, int) {
	in := &f.folder
	for level, name := range path {
		if level >= f.depth {
			return in, level
		}
		next := in.folders[name]
		if next == nil {
			if !f.fits() {
				return nil, level
			}
			if in.folders == nil {
				in.folders = map[string]*folder{}
			}
			next = &folder{}
			in.folders[name] = next
		}
		in = next
	}
	return in, len(path)
}

func (f *forest) fits() bool {
	if f.left == 0 {
		f.full = true
		return false
	}
	f.left--
	return true
}

// level counts the folders between the root and what a prefix ends.
func (f *forest) level(prefix string) int {
	return strings.Count(strings.TrimPrefix(prefix, f.root), "/")
}

// nodes gives what was gathered, in the order of names. A folder that shares
// its name with a file beside it keeps its "/", so that neither hides the
// other.
func (f *folder) nodes() []probe.Node {
	nodes := make([]probe.Node, 0, len(f.folders)+len(f.files))
	for name, in := range f.folders {
		if _, shared := f.files[name]; shared {
			name += "/"
		}
		nodes = append(nodes, probe.Node{Name: name, Kind: probe.Folder, Nodes: in.nodes()})
	}
	for name, o := range f.files {
		nodes = append(nodes, file(name, o))
	}
	slices.SortFunc(nodes, func(a, b probe.Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes
}

func file(name string, o Object) probe.Node {
	return probe.Node{Name: name, Kind: probe.File, Size: o.Size, Created: o.Created, Modified: o.Modified}
}
