package objectstore

import (
	"bytes"
	"mime"
	"net/http"
	"path"
	"strings"
)

// textTypes are of files that people read, by the ending of their names.
var textTypes = map[string]string{
	".csv": "text/csv", ".tsv": "text/tab-separated-values", ".tab": "text/tab-separated-values",
	".json": "application/json", ".ndjson": "application/x-ndjson", ".jsonl": "application/x-ndjson", ".geojson": "application/geo+json",
	".xml": "application/xml", ".yaml": "application/yaml", ".yml": "application/yaml", ".toml": "application/toml", ".sql": "application/sql",
	".txt": "text/plain", ".log": "text/plain", ".md": "text/markdown", ".html": "text/html", ".htm": "text/html",
}

// binaryTypes are of all others.
var binaryTypes = map[string]string{
	".parquet": "application/vnd.apache.parquet", ".avro": "application/avro", ".orc": "application/x-orc", ".arrow": "application/vnd.apache.arrow.file",
	".gz": "application/gzip", ".zip": "application/zip", ".bz2": "application/x-bzip2", ".zst": "application/zstd", ".xz": "application/x-xz",
	".snappy": "application/x-snappy-framed", ".tar": "application/x-tar", ".pdf": "application/pdf",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}

// magic is how files begin that the WHATWG's standard does not know, by which
// net/http tells content.
var magic = []struct{ begin, name string }{
	{"PAR1", "application/vnd.apache.parquet"},
	{"Obj\x01", "application/avro"},
	{"ORC", "application/x-orc"},
	{"ARROW1\x00\x00", "application/vnd.apache.arrow.file"},
	{"BZh", "application/x-bzip2"},
	{"\x28\xb5\x2f\xfd", "application/zstd"},
	{"\xfd7zXZ\x00", "application/x-xz"},
	{"\xff\x06\x00\x00sNaPpY", "application/x-snappy-framed"},
}

// contentType tells what a file is: a text by the ending of its name, anything
// else by how it begins and then by its name. The store's word counts where
// neither says a thing, as most stores only repeat what the writer claimed.
func contentType(key string, c Content, text bool) string {
	ending := strings.ToLower(path.Ext(key))
	told := toldType(c.Type)
	candidates := []string{detect(c.Bytes, ending), binaryTypes[ending], textTypes[ending], told, "application/octet-stream"}
	switch {
	case len(c.Bytes) == 0:
		candidates = []string{textTypes[ending], binaryTypes[ending], told, "application/octet-stream"}
	case text:
		candidates = []string{textTypes[ending], told, detectText(c.Bytes)}
	}
	for _, t := range candidates {
		if t != "" {
			return t
		}
	}
	return ""
}

// detect tells binary content by how it begins; "" for what begins like
// nothing known. Office files are zip archives, and said to be more by name.
func detect(content []byte, ending string) string {
	for _, m := range magic {
		if bytes.HasPrefix(content, []byte(m.begin)) {
			return m.name
		}
	}
	switch t := http.DetectContentType(content); {
	case t == "application/zip" && binaryTypes[ending] != "":
		return binaryTypes[ending]
	case t == "application/x-gzip":
		return "application/gzip"
	case strings.HasPrefix(t, "text/") && !strings.Contains(t, "utf-16"), t == "application/octet-stream":
		return "" // it takes for text what is no UTF-8
	default:
		return t
	}
}

// detectText tells a text by how it begins.
func detectText(content []byte) string {
	t, _, _ := strings.Cut(http.DetectContentType(content), ";")
	switch t {
	case "text/xml":
		return "application/xml"
	case "text/html":
		return t
	}
	return "text/plain"
}

// toldType is the store's word, without parameters; "" where it is no type, or
// one that stores give to what they know nothing of.
func toldType(text string) string {
	t, _, err := mime.ParseMediaType(text)
	if err != nil || !strings.Contains(t, "/") || t == "application/octet-stream" || t == "binary/octet-stream" || t == "application/x-directory" {
		return ""
	}
	return t
}
