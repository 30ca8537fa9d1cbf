//go:build unix

package runtimehost

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

const defaultKey = "$default"

// route is a route key, parsed. The zero method is ANY's.
type route struct {
	binding  RouteBinding
	method   string
	segments []segment
	fallback bool // $default
}

type kind int

// In this order a segment is less and less specific.
const (
	literal kind = iota
	variable
	greedy
)

type segment struct {
	kind kind
	text string // or the variable's name
}

func parseRoute(b RouteBinding) (route, error) {
	if b.Function == nil {
		return route{}, fmt.Errorf("the route %q has no function", b.RouteKey)
	}
	if b.RouteKey == defaultKey {
		return route{binding: b, fallback: true}, nil
	}
	method, path, ok := strings.Cut(b.RouteKey, " ")
	if !ok || method == "" || strings.ToUpper(method) != method || !strings.HasPrefix(path, "/") {
		return route{}, fmt.Errorf("the route key %q is not METHOD /path", b.RouteKey)
	}
	if method == "ANY" {
		method = ""
	}
	r := route{binding: b, method: method}
	parts := strings.Split(path[1:], "/")
	for i, part := range parts {
		s := segment{literal, part}
		if name, found := strings.CutPrefix(part, "{"); found {
			name, closed := strings.CutSuffix(name, "}")
			s = segment{variable, name}
			if name, plus := strings.CutSuffix(name, "+"); plus {
				s = segment{greedy, name}
			}
			if !closed || s.text == "" || s.kind == greedy && i != len(parts)-1 {
				return route{}, fmt.Errorf("the route key %q has a malformed variable", b.RouteKey)
			}
		}
		r.segments = append(r.segments, s)
	}
	return r, nil
}

// parseRoutes sorts the routes, the most specific first, so that the first
// match is the gateway's choice: a full match before a greedy one, that before
// $default, and a method before ANY.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
func parseRoutes(bindings []RouteBinding) ([]route, error) {
	var routes []route
	var faults []error
	seen := map[string]bool{}
	for _, b := range bindings {
		r, err := parseRoute(b)
		if err == nil && seen[r.shape()] {
			err = fmt.Errorf("the route %q exists already", b.RouteKey)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		seen[r.shape()] = true
		routes = append(routes, r)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("reading the routes: %w", err)
	}
	slices.SortStableFunc(routes, compare)
	return routes, nil
}

// shape is equal for routes that match the same requests.
func (r route) shape() string {
	if r.fallback {
		return defaultKey
	}
	out := r.method
	for _, s := range r.segments {
		if s.kind == literal {
			out += "/=" + s.text
		} else {
			out += fmt.Sprintf("/%d", s.kind)
		}
	}
	return out
}

func compare(a, b route) int {
	if a.fallback != b.fallback {
		return cmp.Compare(truth(a.fallback), truth(b.fallback))
	}
	for i := range min(len(a.segments), len(b.segments)) {
		if c := cmp.Compare(a.segments[i].kind, b.segments[i].kind); c != 0 {
			return c
		}
	}
	if c := cmp.Compare(len(b.segments), len(a.segments)); c != 0 {
		return c
	}
	return cmp.Compare(truth(a.method == ""), truth(b.method == ""))
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// match compares a request with the route and gives the path's variables,
// decoded. The path is cut before it is decoded, so an escaped slash stays
// within its segment; only afterwards does the gateway hand over the decoded
// path.
func (r route) match(method, escapedPath string) (map[string]string, bool) {
	if r.fallback {
		return nil, true
	}
	if r.method != "" && r.method != method {
		return nil, false
	}
	parts := strings.Split(strings.TrimPrefix(escapedPath, "/"), "/")
	vars := map[string]string{}
	for i, s := range r.segments {
		if i >= len(parts) {
			return nil, false
		}
		rest := parts[i]
		if s.kind == greedy {
			rest = strings.Join(parts[i:], "/")
		}
		value, err := url.PathUnescape(rest)
		if err != nil || value == "" && s.kind != literal || s.kind == literal && value != s.text {
			return nil, false
		}
		if s.kind != literal {
			vars[s.text] = value
		}
		if s.kind == greedy {
			return vars, true
		}
	}
	return vars, len(parts) == len(r.segments)
}
