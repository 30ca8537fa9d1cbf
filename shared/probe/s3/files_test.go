package s3probe_test

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"credence/shared/probe/probetest"
)

// changed is when all files of the double were.
var changed = time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)

// serve answers lists and reads of files, once the signature was verified.
func (d *amazon) serve(w http.ResponseWriter, r *http.Request, bucket, key string) {
	place := bucket + "/" + key
	if key == "" {
		place = bucket + "?" + r.URL.Query().Get("prefix")
	}
	if refusal, ok := d.refuses[place]; ok {
		refusal.write(w)
		return
	}
	files, ok := d.buckets[bucket]
	switch {
	case r.Method != http.MethodGet:
		fail(w, 405, "MethodNotAllowed")
	case bucket == "":
		d.listBuckets(w, r)
	case !ok:
		fail(w, 404, "NoSuchBucket")
	case key == "":
		list(w, r, bucket, files)
	default:
		read(w, r, key, files)
	}
}

func text(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

func (d *amazon) listBuckets(w http.ResponseWriter, r *http.Request) {
	names := probetest.Bucket{}
	for name := range d.buckets {
		names[name] = probetest.Stored{}
	}
	q := r.URL.Query()
	most, err := strconv.Atoi(q.Get("max-buckets"))
	if err != nil {
		fail(w, 400, "InvalidArgument")
		return
	}
	keys, _, next := names.List("", "", q.Get("continuation-token"), min(most, 1000))
	w.Header().Set("Content-Type", "application/xml")
	_, _ = io.WriteString(w, `<ListAllMyBucketsResult><Owner><ID>x</ID></Owner><Buckets>`)
	for _, name := range keys {
		_, _ = fmt.Fprintf(w, `<Bucket><CreationDate>2025-01-01T00:00:00.000Z</CreationDate><Name>%s</Name></Bucket>`, text(name))
	}
	_, _ = io.WriteString(w, `</Buckets>`)
	if next != "" {
		_, _ = fmt.Fprintf(w, `<ContinuationToken>%s</ContinuationToken>`, text(next))
	}
	_, _ = io.WriteString(w, `</ListAllMyBucketsResult>`)
}

// list is ListObjectsV2.
func list(w http.ResponseWriter, r *http.Request, bucket string, files probetest.Bucket) {
	q := r.URL.Query()
	name := text
	if q.Get("encoding-type") == "url" {
		name = func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }
	}
	after, err := base64.StdEncoding.DecodeString(q.Get("continuation-token"))
	most, wrong := strconv.Atoi(q.Get("max-keys"))
	if err != nil || wrong != nil || q.Get("list-type") != "2" {
		fail(w, 400, "InvalidArgument")
		return
	}
	keys, folders, next := files.List(q.Get("prefix"), q.Get("delimiter"), string(after), min(most, 1000))
	w.Header().Set("Content-Type", "application/xml")
	_, _ = fmt.Fprintf(w, `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>%s</Name><Prefix>%s</Prefix><MaxKeys>%d</MaxKeys><EncodingType>%s</EncodingType>`,
		bucket, name(q.Get("prefix")), most, q.Get("encoding-type"))
	if next != "" {
		_, _ = fmt.Fprintf(w, `<IsTruncated>true</IsTruncated><NextContinuationToken>%s</NextContinuationToken>`, base64.StdEncoding.EncodeToString([]byte(next)))
	}
	for _, key := range keys {
		_, _ = fmt.Fprintf(w, `<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>`,
			name(key), changed.Format("2006-01-02T15:04:05.000Z"), len(files[key].Content))
	}
	for _, folder := range folders {
		_, _ = fmt.Fprintf(w, `<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>`, name(folder))
	}
	_, _ = io.WriteString(w, `</ListBucketResult>`)
}

// read is GetObject with a Range from the first byte on.
func read(w http.ResponseWriter, r *http.Request, key string, files probetest.Bucket) {
	file, ok := files[key]
	if !ok {
		fail(w, 404, "NoSuchKey")
		return
	}
	last, err := strconv.Atoi(strings.TrimPrefix(r.Header.Get("Range"), "bytes=0-"))
	switch {
	case err != nil:
		fail(w, 400, "InvalidArgument")
		return
	case file.Content == "":
		fail(w, 416, "InvalidRange")
		return
	}
	content := file.Content[:min(last+1, len(file.Content))]
	w.Header().Set("Content-Type", "binary/octet-stream")
	if file.Type != "" {
		w.Header().Set("Content-Type", file.Type)
	}
	w.Header().Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
	w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(content)-1, len(file.Content)))
	w.WriteHeader(http.StatusPartialContent)
	_, _ = io.WriteString(w, content)
}
