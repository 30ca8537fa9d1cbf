package lambdahttp

import (
	"bytes"
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// recorder is the http.ResponseWriter that handlers get. It keeps the rules of
// net/http's own: the first final status wins, headers set after it are not
// sent, no status means 200, a 204 or 304 has no body, and no more is written
// than Content-Length says.
type recorder struct {
	header http.Header // the handler's
	sent   http.Header // a copy from when the status was said
	status int         // 0 until then
	body   bytes.Buffer
	length int64 // what Content-Length allows; -1 is any
	head   bool
	typed  bool // the answer has a Content-Type
}

func newRecorder(method string) *recorder {
	return &recorder{header: http.Header{}, length: -1, head: method == http.MethodHead}
}

// Header implements http.ResponseWriter.
func (a *recorder) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. Like net/http's it panics on what
// is no status, and does not count an interim one.
func (a *recorder) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %d", status))
	}
	interim := status < 200 && status != http.StatusSwitchingProtocols
	if a.status != 0 || interim {
		return
	}
	a.status, a.sent = status, a.header.Clone()
	if n, err := strconv.ParseInt(a.sent.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		a.length = n
	}
}

// Write implements http.ResponseWriter.
func (a *recorder) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if !allowsBody(a.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if a.length >= 0 && int64(a.body.Len()+len(p)) > a.length {
		a.length = int64(a.body.Len()) // what follows is too much as well
		return 0, http.ErrContentLength
	}
	return a.body.Write(p)
}

// copyTo gives the answer to the adapter's writer once the handler is done.
func (a *recorder) copyTo(w http.ResponseWriter) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	_, named := a.sent["Content-Type"]
	if !named && a.body.Len() > 0 && a.sent.Get("Content-Encoding") == "" && a.sent.Get("Transfer-Encoding") == "" {
		a.sent.Set("Content-Type", http.DetectContentType(a.body.Bytes()))
	}
	out := w.Header()
	for name, values := range a.sent {
		if !isToken(name) || isConnection(name) || a.status == http.StatusNotModified && textproto.CanonicalMIMEHeaderKey(name) == "Content-Type" {
			continue
		}
		for _, v := range values {
			out.Add(name, cleanValue(v))
		}
	}
	a.typed = len(out["Content-Type"]) > 0
	w.WriteHeader(a.status)
	if a.body.Len() > 0 && !a.head {
		_, _ = w.Write(a.body.Bytes()) // into a buffer, which cannot fail
	}
}

// isConnection names the headers that concern one connection (RFC 9110 §7.6.1)
// or the framing of one message. The gateway's are its own, and it counts the
// length of what it sends.
func isConnection(name string) bool {
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Trailer", "Upgrade":
		return true
	}
	return false
}

// cleanValue makes of a value what net/http sends: no line breaks, no outer
// space.
func cleanValue(v string) string {
	return textproto.TrimString(strings.NewReplacer("\n", " ", "\r", " ").Replace(v))
}

func allowsBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
