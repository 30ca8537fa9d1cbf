package endtoend

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func browseChecks() []check {
	return []check{
		{"the tree of a store of files", browseTree},
		{"the sample of a file", browseSample},
		{"a look that cannot be", browseRefused},
		{"what a look leaves behind", browseLeaves},
	}
}

// bucket is a store with one bucket, in the form of S3: it lists and hands out
// to whoever signs with the access key and its secret key.
func bucket(name, key, secret string, objects map[string]string) http.HandlerFunc {
	refuse := func(w http.ResponseWriter, status int, code string) {
		w.WriteHeader(status)
		_ = xml.NewEncoder(w).Encode(struct {
			XMLName xml.Name `xml:"Error"`
			Code    string
		}{Code: code})
	}
	return func(w http.ResponseWriter, r *http.Request) {
		path, inside := strings.CutPrefix(r.URL.Path, "/"+name)
		path = strings.TrimPrefix(path, "/")
		switch text, there := objects[path]; {
		case r.Header.Get("Authorization") == "":
			refuse(w, http.StatusForbidden, "AccessDenied")
		case !strings.Contains(r.Header.Get("Authorization"), "Credential="+key+"/"):
			refuse(w, http.StatusForbidden, "InvalidAccessKeyId")
		case !signedBy(r, secret):
			refuse(w, http.StatusForbidden, "SignatureDoesNotMatch")
		case !inside:
			refuse(w, http.StatusNotFound, "NoSuchBucket")
		case path == "":
			list := listed(objects, r.URL.Query().Get("prefix"), r.URL.Query().Get("delimiter"))
			list.Name = name
			_ = xml.NewEncoder(w).Encode(list)
		case !there:
			refuse(w, http.StatusNotFound, "NoSuchKey")
		default:
			http.ServeContent(w, r, path, bucketTime, strings.NewReader(text))
		}
	}
}

var bucketTime = time.Date(2031, 5, 17, 8, 30, 0, 0, time.UTC)

type listing struct {
	XMLName  xml.Name `xml:"ListBucketResult"`
	Name     string
	KeyCount int
	Contents []struct {
		Key          string
		LastModified string
		Size         int
	}
	CommonPrefixes []struct{ Prefix string }
}

func listed(objects map[string]string, prefix, delimiter string) listing {
	var out listing
	folder := ""
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		rest, below := strings.CutPrefix(key, prefix)
		if !below {
			continue
		}
		if first, _, deeper := strings.Cut(rest, delimiter); deeper && delimiter != "" {
			if folder != first {
				folder = first
				out.CommonPrefixes = append(out.CommonPrefixes, struct{ Prefix string }{prefix + first + delimiter})
			}
			continue
		}
		out.Contents = append(out.Contents, struct {
			Key          string
			LastModified string
			Size         int
		}{key, bucketTime.Format("2006-01-02T15:04:05.000Z"), len(objects[key])})
	}
	out.KeyCount = len(out.Contents) + len(out.CommonPrefixes)
	return out
}

// files makes a credential for a bucket.
func (su *suite) files(t *testing.T, objects map[string]string) credential {
	t.Helper()
	secrets := su.s3Secrets()
	key, _ := secrets["access_key_id"].(string)
	secret, _ := secrets["secret_key"].(string)
	secrets["bucket"], secrets["endpoint"] = "reports", su.target(t, bucket("reports", key, secret, objects)).URL
	return su.admin.create(t, object{"name": label("files"), "credentials_type": "s3", "credentials": secrets})
}

var someObjects = map[string]string{
	"readme.txt": "hello", "2031/may/a.csv": "id,name\n1,x\n", "2031/b.json": `{"a":1}`, "2031/may/raw/c.bin": "\x00\xff\x01",
}

var fileForm = fields{
	"type": is("file"), "size": integer, "created_at": integer.or(null), "updated_at": integer.or(null), "value": fields{}.exactly(),
}.exactly()

// folderForm is a folder with these things in it, by name, and no others.
func folderForm(in fields) shape {
	return fields{"type": is("folder"), "value": in.exactly()}.exactly()
}

func treeForm(in fields) shape {
	return fields{
		"status": is("ok"), "message": is("Ok"), "connection_type": is("s3"), "object": in.exactly(), "output": in.exactly(),
	}.shape()
}

func browseTree(t *testing.T, su *suite) {
	c := su.files(t, someObjects)
	empty := folderForm(fields{})
	for _, row := range []struct {
		ask  object
		want fields
	}{
		{object{"depth": 1}, fields{"readme.txt": fileForm, "2031": empty}},
		{object{"depth": "2"}, fields{"readme.txt": fileForm, "2031": folderForm(fields{"b.json": fileForm, "may": empty})}},
		{object{"depth": 1, "path": "/reports/"}, fields{"readme.txt": fileForm, "2031": empty}},
		{object{"depth": 10, "path": "2031/may"}, fields{"a.csv": fileForm, "raw": folderForm(fields{"c.bin": fileForm})}},
		{object{"depth": 1, "path": "/2031/"}, fields{"b.json": fileForm, "may": empty}},
	} {
		r := c.by.post(t, c.path+"/probe/tree", row.ask).ok(t).form(t, treeForm(row.want))
		if file := r.at("object", "readme.txt"); file != nil {
			if r.int("object", "readme.txt", "size") != 5 || r.int("object", "readme.txt", "updated_at") != bucketTime.UnixMilli() {
				t.Errorf("%v: the file is %v", row.ask, file)
			}
		}
	}
	c.by.post(t, c.path+"/probe/tree", object{"depth": 1, "path": "2032"}).form(t, unknownForm).notShown(t, "RESOURCE_NOT_FOUND", "/path")
}

// notShown wants a look that found nothing to show, by the service's own code.
func (r *reply) notShown(t *testing.T, code, pointer string) {
	t.Helper()
	if r.code != http.StatusBadRequest || r.errorCode() != code || r.text("pointer") != pointer || r.at("object") != nil || r.at("output") != nil {
		t.Errorf("%s: %d %s at %q, want %s at %q", r.asked, r.code, r.errorCode(), r.text("pointer"), code, pointer)
	}
}

func browseSample(t *testing.T, su *suite) {
	long := strings.Repeat("0123456789abcde\n", 8<<10)
	objects := maps.Clone(someObjects)
	objects["long.csv"] = long
	c := su.files(t, objects)
	sampleForm := func(contentType string) shape {
		return fields{
			"status": is("ok"), "message": is("Ok"), "connection_type": is("s3"),
			"output": fields{"contentType": is(contentType), "statusCode": kind("200", func(v any) bool { return v == any(number("200")) }), "response": text}.shape(),
		}.shape()
	}
	for path, want := range map[string]struct{ contentType, response string }{
		"2031/may/a.csv":      {"text/csv", "id,name\n1,x\n"},
		"/2031/b.json":        {"application/json", `{"a":1}`},
		"2031/may/raw/c.bin":  {"application/octet-stream", "AP8B"},
		"reports/2031/b.json": {"application/json", `{"a":1}`}, // the bucket's own name before it
		"/2031/may/":          {"text/csv", "id,name\n1,x\n"},  // the first file of a folder
	} {
		r := c.by.post(t, c.path+"/probe/sample", object{"path": path}).ok(t).form(t, sampleForm(want.contentType))
		if r.text("output", "response") != want.response || r.at("truncated") != any(false) {
			t.Errorf("%s: %q, truncated %v", path, r.text("output", "response"), r.at("truncated"))
		}
	}
	r := c.by.post(t, c.path+"/probe/sample", object{"path": "long.csv"}).ok(t).form(t, sampleForm("text/csv"))
	if got := r.text("output", "response"); r.at("truncated") != any(true) || len(got) < 1000 || !strings.HasPrefix(long, got) || !strings.HasSuffix(got, "\n") {
		t.Errorf("of a long file %d bytes, truncated %v", len(got), r.at("truncated"))
	}
	c.by.post(t, c.path+"/probe/sample", object{"path": "2031/none.csv"}).form(t, unknownForm).notShown(t, "RESOURCE_NOT_FOUND", "/path")
}

func browseRefused(t *testing.T, su *suite) {
	c := su.files(t, someObjects)
	for _, row := range []struct {
		path string
		body any
		at   []string
	}{
		{"/probe/tree", object{}, []string{"/depth"}},
		{"/probe/tree", object{"depth": 0}, []string{"/depth"}},
		{"/probe/tree", object{"depth": 11, "path": 7}, []string{"/depth", "/path"}},
		{"/probe/tree", object{"depth": 10, "path": strings.Repeat("é", 1025)}, []string{"/path"}},
		{"/probe/tree", object{"depth": 1, "database": "d", "table": "t"}, []string{"/database", "/table"}},
		{"/probe/sample", object{}, []string{"/path"}},
		{"/probe/sample", object{"table": "t"}, []string{"/path", "/table"}},
	} {
		c.by.post(t, c.path+row.path, row.body).refused(t, http.StatusBadRequest, "invalid_request", row.at...)
	}
	for _, path := range []string{"/probe/tree", "/probe/sample"} {
		c.by.post(t, c.path+path, nil).refused(t, http.StatusBadRequest, "malformed_json")
		su.other.post(t, c.path+path, object{"depth": 1, "path": "x"}).refused(t, http.StatusNotFound, "not_found")
		c.by.get(t, c.path+path).refused(t, http.StatusMethodNotAllowed, "method_not_allowed")
		c.by.key(t, "read").post(t, c.path+path, object{"depth": 1, "path": "x"}).refused(t, http.StatusForbidden, "scope_missing")
	}
	rest := su.admin.create(t, su.rest(label("no tree"), su.target(t, wants("x")).URL, su.leaks.secret()))
	rest.by.post(t, rest.path+"/probe/tree", object{"depth": 1}).form(t, unknownForm).notShown(t, "NO_PROBE_FOR_TYPE", "")
	other := su.files(t, someObjects)
	refusing := with(su.s3Secrets(), object{"bucket": "reports", "endpoint": su.target(t, bucket("reports", "another", "", nil)).URL})
	other.by.put(t, other.path, object{"credentials": refusing}).ok(t)
	other.by.post(t, other.path+"/probe/tree", object{"depth": 1}).refusedByTarget(t)
}

func browseLeaves(t *testing.T, su *suite) {
	c := su.files(t, someObjects)
	c.probed(t).ok(t)
	was := c.again(t)
	c.by.post(t, c.path+"/probe/tree", object{"depth": 1}).ok(t) // at once after the probe
	c.by.post(t, c.path+"/probe/sample", object{"path": "readme.txt"}).ok(t)
	now := c.again(t)
	for _, field := range []string{"verified_status", "verified_at", "updated_at", "version"} {
		if now.at(field) != was.at(field) {
			t.Errorf("a look moves %s from %v to %v", field, was.at(field), now.at(field))
		}
	}
	entries := c.audit(t)
	for n, summary := range []string{`sample of "readme.txt": OK`, `sample of "readme.txt": started`, "tree: OK", "tree: started"} {
		if len(entries) <= n || !slices.Equal(texts(entries[n]["change_summary"]), []string{summary}) {
			t.Errorf("entry %d is not %s: the log says %v", n, summary, entries)
		}
	}
	if n := len(c.by.get(t, c.path+"/probe/history").ok(t).items()); n != 1 {
		t.Errorf("%d results of probes, want one", n)
	}
}
