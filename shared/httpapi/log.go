package httpapi

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"credence/shared/fault"
	"credence/shared/identity"
)

// requestID is the gateway's, or 130 random bits of our own. A client cannot
// choose it: it could make two requests look like one.
func requestID(ctx context.Context) string {
	if id := RequestID(ctx); id != "" {
		return id
	}
	return rand.Text()
}

// log writes the one line of a request. Its fields are these and no others:
// neither the path as sent, nor a query, a header or a body is among them.
func (s *stack) log(ex *exchange, status, sizeOut int, e *fault.Error, err error) {
	attrs := []slog.Attr{
		slog.String("request_id", ex.id),
		slog.String("method", knownMethod(ex.http.Method)),
		slog.String("route", routePattern(ex.route)),
		slog.Int("status", status),
		slog.Float64("latency_ms", float64(s.Clock().Sub(ex.started).Microseconds())/1000),
		slog.Int("bytes_in", ex.sizeIn),
		slog.Int("bytes_out", sizeOut),
		slog.String("client", ex.client),
		slog.String("user_agent", plain(ex.http.UserAgent(), maxAgent)),
	}
	if ex.caller.KeyID != 0 {
		attrs = append(attrs, slog.Int64("org", ex.caller.Org.ID),
			slog.Int64("user", ex.caller.User.ID), slog.Int64("key", ex.caller.KeyID))
	}
	if e != nil {
		attrs = append(attrs, slog.String("error_code", string(e.Code)))
	}
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
		attrs = append(attrs, slog.String("cause", cause(err)))
		if p := (*panicError)(nil); errors.As(err, &p) {
			attrs = append(attrs, slog.String("stack", strings.Join(p.at, " < ")))
		}
	}
	s.Logger.LogAttrs(ex.http.Context(), level, "request", attrs...)
}

// cause is the chain of an error's texts; a fault adds what it hides.
func cause(err error) string {
	text := err.Error()
	var e *fault.Error
	if errors.As(err, &e) && e.Unwrap() != nil {
		text += ": " + e.Unwrap().Error()
	}
	return text
}

func routePattern(r *Route) string {
	if r == nil {
		return "none"
	}
	return r.Pattern
}

// knownMethod keeps a made-up method, which may be any text, out of the log.
func knownMethod(m string) string {
	known := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"}
	if slices.Contains(known, m) {
		return m
	}
	return "other"
}

const (
	maxAgent = 100
	maxURL   = 512
)

// origin describes where a request comes from.
func (ex *exchange) origin() identity.Origin {
	r := ex.http
	address := r.URL.EscapedPath()
	if names := queryNames(r); len(names) > 0 {
		address += "?" + strings.Join(names, "&")
	}
	return identity.Origin{
		IP: ex.client, UserAgent: plain(r.UserAgent(), maxAgent), URL: plain(address, maxURL), RequestID: plain(ex.id, maxAgent),
	}
}

func queryNames(r *http.Request) []string {
	var names []string
	for name := range r.URL.Query() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// plain drops what could forge a line or turn its direction, and cuts at limit
// bytes between characters.
func plain(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, text)
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
