package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A router matches like http.ServeMux, but never cleans a path or redirects. A
// path either is a route's, segment by segment, or is none. HEAD is served by GET
// (RFC 9110, section 9.3.2).
type router []entry

type entry struct {
	Route
	method   string
	segments []string // a wildcard is kept as "{name}"
}

// newRouter refuses routes that http.ServeMux would refuse, conflicting ones
// above all, and those that could be reached without anybody having decided who
// may.
func newRouter(routes []Route) (router, error) {
	mux := http.NewServeMux()
	out := make(router, 0, len(routes))
	var faults []error
	for _, r := range routes {
		if err := checkRoute(r, mux); err != nil {
			faults = append(faults, fmt.Errorf("adding route %q: %w", r.Pattern, err))
			continue
		}
		out = append(out, entryOf(r))
	}
	// Of two routes that match one path the mux has made sure that one is the
	// narrower: it has a literal where the other first has a wildcard.
	slices.SortStableFunc(out, func(a, b entry) int {
		return slices.CompareFunc(a.segments, b.segments, func(s, t string) int {
			if wildcard(s) != wildcard(t) {
				return map[bool]int{true: 1, false: -1}[wildcard(s)]
			}
			return cmp.Compare(s, t)
		})
	})
	return out, errors.Join(faults...)
}

func entryOf(r Route) entry {
	method, path, _ := strings.Cut(r.Pattern, " ")
	return entry{r, method, strings.Split(path[1:], "/")}
}

// entriesOf makes entries that have a pattern alone.
func entriesOf(patterns []string) []entry {
	out := make([]entry, len(patterns))
	for i, p := range patterns {
		out[i] = entryOf(Route{Pattern: p})
	}
	return out
}

func checkRoute(r Route, mux *http.ServeMux) (err error) {
	method, path, _ := strings.Cut(r.Pattern, " ")
	switch {
	case method == "" || !strings.HasPrefix(path, "/") || path != "/" && strings.HasSuffix(path, "/") || strings.Contains(path, "..."):
		return errors.New("the pattern is not METHOD /path/{name}")
	case r.Handle == nil:
		return errors.New("nothing handles it")
	case r.Public == (r.Needs != 0):
		return errors.New("it must be either public or need a permission")
	case r.Needs != 0 && !r.Needs.Known():
		return errors.New("the permission it needs does not exist")
	case (r.Resource != "") != slices.Contains(strings.Split(path, "/"), "{id}"):
		return errors.New("a resource and {id} go together")
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v) // the mux's own words, about patterns alone
		}
	}()
	pattern := r.Pattern
	if path == "/" {
		pattern += "{$}" // to the mux a slash alone is every path
	}
	mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
	return nil
}

// match finds the route of a request and sets its path values. It returns nil
// if there is none.
func (rt router) match(r *http.Request) *Route {
	segments := split(r)
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range rt {
		if rt[i].method != method || !slices.EqualFunc(rt[i].segments, segments, fits) {
			continue
		}
		for n, s := range rt[i].segments {
			if wildcard(s) {
				r.SetPathValue(s[1:len(s)-1], segments[n])
			}
		}
		r.Pattern = rt[i].Pattern
		return &rt[i].Route
	}
	return nil
}

// allow lists the methods of a request's path as the header Allow has them; ""
// for a path that is no route's.
func (rt router) allow(r *http.Request) string {
	segments := split(r)
	var methods []string
	for _, e := range rt {
		if slices.EqualFunc(e.segments, segments, fits) {
			methods = append(methods, e.method)
		}
	}
	if len(methods) == 0 {
		return ""
	}
	methods = append(methods, http.MethodOptions)
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	return strings.Join(slices.Compact(methods), ", ")
}

// split decodes the segments of a request's path; nil for a path that no route
// can have.
func split(r *http.Request) []string {
	path := r.URL.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		return nil
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		decoded, err := url.PathUnescape(s)
		if err != nil || decoded == "" && path != "/" {
			return nil
		}
		segments[i] = decoded
	}
	return segments
}

func wildcard(segment string) bool { return strings.HasPrefix(segment, "{") }

func fits(pattern, segment string) bool { return wildcard(pattern) || pattern == segment }
