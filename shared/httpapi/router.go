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

// A router matches like http.ServeMux, with none of its courtesies: that one
// cleans paths, redirects, answers 405 and serves HEAD by GET, each with an
// answer that is not ours and that a gateway in front would not give. Here a
// path either is a route's, segment by segment, or is none.
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
		method, path, _ := strings.Cut(r.Pattern, " ")
		out = append(out, entry{r, method, strings.Split(path[1:], "/")})
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

func checkRoute(r Route, mux *http.ServeMux) (err error) {
	method, path, _ := strings.Cut(r.Pattern, " ")
	switch {
	case method == "" || !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || strings.Contains(path, "..."):
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
	mux.HandleFunc(r.Pattern, func(http.ResponseWriter, *http.Request) {})
	return nil
}

// match finds the route of a request and sets its path values. It reports
// false if there is none.
func (rt router) match(r *http.Request) (*Route, bool) {
	path := r.URL.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		return nil, false
	}
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		decoded, err := url.PathUnescape(s)
		if err != nil || decoded == "" {
			return nil, false
		}
		segments[i] = decoded
	}
	for i := range rt {
		if rt[i].method != r.Method || !slices.EqualFunc(rt[i].segments, segments, fits) {
			continue
		}
		for n, s := range rt[i].segments {
			if wildcard(s) {
				r.SetPathValue(s[1:len(s)-1], segments[n])
			}
		}
		r.Pattern = rt[i].Pattern
		return &rt[i].Route, true
	}
	return nil, false
}

func wildcard(segment string) bool { return strings.HasPrefix(segment, "{") }

func fits(pattern, segment string) bool { return wildcard(pattern) || pattern == segment }
