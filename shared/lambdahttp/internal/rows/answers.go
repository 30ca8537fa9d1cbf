package rows

import (
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Answers are the names of the ways to answer, for /answers/{row}.
func Answers() []string { return slices.Sorted(maps.Keys(answers)) }

func answer(w http.ResponseWriter, r *http.Request) {
	f, ok := answers[r.PathValue("row")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	f(w)
}

// say writes what a row has to say; a row is not about whether it arrives.
func say(w io.Writer, s string) { _, _ = io.WriteString(w, s) }

var answers = map[string]func(http.ResponseWriter){
	"nothing":     func(http.ResponseWriter) {},
	"only-status": func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) },
	"only-body":   func(w http.ResponseWriter) { say(w, "hello") },
	"json": func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		say(w, `{"name":"naïve  \u0000 \"quoted\""}`)
	},
	"status-then-stray-200": func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusForbidden)
		w.WriteHeader(http.StatusOK)
		say(w, "no")
	},
	"body-then-status": func(w http.ResponseWriter) {
		say(w, "yes")
		w.WriteHeader(http.StatusInternalServerError)
	},
	"header-after-status": func(w http.ResponseWriter) {
		w.Header().Set("X-Before", "1")
		w.WriteHeader(http.StatusOK)
		w.Header().Set("X-After", "1")
		w.Header().Set("X-Before", "2")
		w.Header().Del("X-Before")
	},
	"header-after-body": func(w http.ResponseWriter) {
		say(w, "x")
		w.Header().Set("X-After", "1")
	},
	"several-writes": func(w http.ResponseWriter) {
		say(w, "<html>")
		say(w, "<body>")
		say(w, strings.Repeat("x", 3000))
	},
	"two-vary": func(w http.ResponseWriter) {
		w.Header().Add("Vary", "Accept")
		w.Header().Add("Vary", "Authorization")
		say(w, "x")
	},
	"two-cookies": func(w http.ResponseWriter) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1", Path: "/", HttpOnly: true})
		w.Header().Add("Set-Cookie", "b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT")
	},
	"link": func(w http.ResponseWriter) {
		w.Header().Set("Link", `</data_credentials?page=2&per_page=1>; rel="Next"`)
		w.Header().Set("X-Total-Count", "2")
		say(w, "[]")
	},
	"lower-case-header": func(w http.ResponseWriter) {
		w.Header()["x-lower"] = []string{"1"}
	},
	"binary": func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/octet-stream")
		say(w, "\x00\xff\xfe\x80 not text")
	},
	"binary-sniffed": func(w http.ResponseWriter) { say(w, "\x89PNG\x0d\x0a\x1a\x0a\x00\xff") },
	"html-sniffed":   func(w http.ResponseWriter) { say(w, "<!doctype html><p>x") },
	"no-type-wanted": func(w http.ResponseWriter) {
		w.Header()["Content-Type"] = nil
		say(w, "<!doctype html><p>x")
	},
	"gzip": func(w http.ResponseWriter) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "application/json")
		zip(w, `{"a":1}`)
	},
	"gzip-without-type": func(w http.ResponseWriter) {
		w.Header().Set("Content-Encoding", "gzip")
		zip(w, "text")
	},
	"no-content": func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNoContent)
		say(w, "must not arrive")
	},
	"not-modified": func(w http.ResponseWriter) {
		w.Header().Set("ETag", `"v3"`)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotModified)
		say(w, "must not arrive")
	},
	"interim-first": func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusProcessing)
		w.WriteHeader(http.StatusAccepted)
		say(w, "done")
	},
	"more-than-said": func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "5")
		say(w, "12345")
		say(w, "6789")
	},
	"length-said": func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", "5")
		say(w, "12345")
	},
	"line-break-in-value": func(w http.ResponseWriter) {
		w.Header().Set("X-Broken", " one\r\nSet-Cookie: two=2 ")
		say(w, "x")
	},
	"bad-header-name": func(w http.ResponseWriter) {
		w.Header()["X Bad:"] = []string{"1"}
		say(w, "x")
	},
	"large": func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/plain")
		for range 1 << 12 {
			say(w, strings.Repeat("0123456789abcdef", 64))
		}
	},
}

func zip(w io.Writer, s string) {
	z := gzip.NewWriter(w)
	say(z, s)
	_ = z.Close()
}
