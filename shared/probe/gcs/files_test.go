package gcsprobe_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/probe/probetest"
)

// files is what the double has to look at: buckets, and places at which it
// refuses, by "bucket/object", or "bucket?prefix" of a list.
type files struct {
	buckets map[string]probetest.Bucket
	refuses map[string]int
	gaps    bool // each list begins with an empty page, as Google's may
}

type item struct {
	Name    string    `json:"name"`
	Size    int64     `json:"size,string"`
	Created time.Time `json:"timeCreated"`
	Updated time.Time `json:"updated"`
}

type page struct {
	Kind     string   `json:"kind"`
	Next     string   `json:"nextPageToken,omitzero"`
	Prefixes []string `json:"prefixes,omitempty"`
	Items    []any    `json:"items,omitempty"`
}

// serve answers lists and reads. The path is read as it was sent: an object's
// name is one segment of it.
func (f *files) serve(w http.ResponseWriter, r *http.Request, known bool) {
	path := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/storage/v1/"), "/")
	for i := range path {
		path[i], _ = url.PathUnescape(path[i])
	}
	q := r.URL.Query()
	switch {
	case !known:
		refuse(w, http.StatusUnauthorized, "authError")
	case r.Method != http.MethodGet:
		refuse(w, http.StatusMethodNotAllowed, "methodNotAllowed")
	case slices.Equal(path, []string{"b"}):
		f.listBuckets(w, q)
	case len(path) == 3 && path[0] == "b" && path[2] == "o":
		f.list(w, path[1], q)
	case len(path) == 4 && path[0] == "b" && path[2] == "o" && q.Get("alt") == "media":
		f.read(w, r, path[1], path[3])
	default:
		refuse(w, http.StatusBadRequest, "badRequest")
	}
}

func (f *files) listBuckets(w http.ResponseWriter, q url.Values) {
	switch q.Get("project") {
	case "my-project":
	case "no-such-project":
		refuse(w, http.StatusNotFound, "notFound")
		return
	default:
		refuse(w, http.StatusForbidden, "forbidden")
		return
	}
	names := probetest.Bucket{}
	for name := range f.buckets {
		names[name] = probetest.Stored{}
	}
	keys, _, next := names.List("", "", q.Get("pageToken"), most(q))
	p := page{Kind: "storage#buckets", Next: next}
	for _, name := range keys {
		p.Items = append(p.Items, map[string]string{"name": name})
	}
	write(w, p)
}

func most(q url.Values) int {
	n, err := strconv.Atoi(q.Get("maxResults"))
	if err != nil {
		return 1000
	}
	return min(n, 1000)
}

func write(w http.ResponseWriter, p page) { _ = json.MarshalWrite(w, p) }

func (f *files) list(w http.ResponseWriter, bucket string, q url.Values) {
	objects, ok := f.buckets[bucket]
	if status := f.refuses[bucket+"?"+q.Get("prefix")]; status != 0 {
		refuse(w, status, "forbidden")
		return
	}
	if !ok {
		refuse(w, http.StatusNotFound, "notFound")
		return
	}
	if q.Get("fields") != "kind,nextPageToken,prefixes,items(name,size,timeCreated,updated)" {
		refuse(w, http.StatusBadRequest, "badRequest")
		return
	}
	after, _ := base64.StdEncoding.DecodeString(q.Get("pageToken"))
	if f.gaps && len(after) == 0 {
		write(w, page{Kind: "storage#objects", Next: base64.StdEncoding.EncodeToString([]byte("\x00"))})
		return
	}
	keys, folders, next := objects.List(q.Get("prefix"), q.Get("delimiter"), string(after), most(q))
	p := page{Kind: "storage#objects", Prefixes: folders, Next: base64.StdEncoding.EncodeToString([]byte(next))}
	for _, key := range keys {
		o := objects[key]
		p.Items = append(p.Items, item{key, int64(len(o.Content)), o.Created, o.Modified})
	}
	write(w, p)
}

// read answers media. Its refusals are words, not JSON, and a file that is kept
// packed is unpacked for who does not take it so.
func (f *files) read(w http.ResponseWriter, r *http.Request, bucket, object string) {
	words := func(status int) {
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "No such object: "+probetest.Foreign)
	}
	if status := f.refuses[bucket+"/"+object]; status != 0 {
		words(status)
		return
	}
	o, ok := f.buckets[bucket][object]
	if !ok {
		words(http.StatusNotFound)
		return
	}
	if o.Type == "packed" {
		o.Type = "text/csv"
		if r.Header.Get("Accept-Encoding") != "gzip" {
			w.WriteHeader(http.StatusOK) // and no range
			_, _ = io.WriteString(w, strings.Repeat("unpacked\n", 100000))
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
	}
	last, err := strconv.Atoi(strings.TrimPrefix(r.Header.Get("Range"), "bytes=0-"))
	switch {
	case err != nil:
		words(http.StatusBadRequest)
		return
	case o.Content == "":
		words(http.StatusRequestedRangeNotSatisfiable)
		return
	}
	content := o.Content[:min(last+1, len(o.Content))]
	w.Header().Set("Content-Type", o.Type)
	w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(content)-1, len(o.Content)))
	w.WriteHeader(http.StatusPartialContent)
	_, _ = io.WriteString(w, content)
}
