package httpapi

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"credence/shared/fault"
	"credence/shared/id"
	"credence/shared/naming"
	"credence/shared/nearest"
	"credence/shared/pattern"
)

// Query reads query parameters and gathers the errors of all of them, for Err to
// return at once. An empty parameter counts as absent; one that the route does
// not list is an error. It belongs to one request and one goroutine.
type Query struct {
	path   string
	values url.Values
	faults []fault.Detail
}

// Query starts reading the query parameters.
func (r *Request) Query() *Query {
	q := &Query{path: r.HTTP.URL.Path}
	var err error
	if q.values, err = url.ParseQuery(r.HTTP.URL.RawQuery); err != nil {
		q.fault("", fault.DetailMalformed, "The query string is not well formed. Encode it as name=value pairs joined by &.")
	}
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		if !r.accepts(name) {
			q.unknown(name, r.query)
		}
	}
	return q
}

// accepts reports whether the route lists a parameter.
func (r *Request) accepts(name string) bool {
	return slices.ContainsFunc(r.query, func(known string) bool {
		if prefix, ok := strings.CutSuffix(known, "*"); ok {
			return strings.HasPrefix(name, prefix)
		}
		return name == known || name+"[]" == known
	})
}

// otherNames maps what other APIs call a parameter to what it is called here.
var otherNames = map[string]string{
	"search": "name", "q": "name", "query": "name", "filter": "name", "type": "credentials_type",
	"limit": "per_page", "page_size": "per_page", "size": "per_page", "count": "per_page", "offset": "page",
	"sort": "sort_by", "order_by": "sort_by", "order": "sort_order", "role": "access_role", "state": "status",
	"since": "from", "start": "from", "until": "to", "end": "to", "after": "cursor", "next": "cursor",
}

// unknown adds the error of a parameter that the route does not list. A name
// that was sent may be anything, a secret too: only one that is near to a known
// name is repeated, as that name.
func (q *Query) unknown(name string, listed []string) {
	known := make([]string, len(listed))
	for n, k := range listed {
		known[n] = strings.TrimSuffix(k, "[]")
	}
	near := nearest.To(name, known, otherNames)
	message := "The request has a query parameter that this route does not take."
	switch {
	case near != "":
		message += nearest.Hint(near)
	case len(known) == 0:
		message += " Send none."
	default:
		message += " It takes: " + strings.Join(known, ", ") + "."
	}
	q.fault(near, fault.DetailUnknown, message)
}

// Fault adds something wrong with a parameter that the endpoint found out.
func (q *Query) Fault(name, code, message string) { q.fault(name, code, message) }

func (q *Query) fault(name, code, message string) {
	q.faults = append(q.faults, fault.Detail{Pointer: "?" + name, Code: code, Message: message})
}

// Err is nil, or the one 400 that names every fault found so far.
func (q *Query) Err() error {
	if len(q.faults) == 0 {
		return nil
	}
	e := fault.New(fault.CodeInvalidParameter, q.faults[0].Message)
	if len(q.faults) > 1 {
		e.Message = "Several query parameters are at fault; each is listed in details."
	}
	e.Details = q.faults
	return e
}

func (q *Query) one(name string) (string, bool) {
	all := q.values[name]
	if len(all) > 1 && slices.ContainsFunc(all, func(s string) bool { return s != all[0] }) {
		q.fault(name, fault.DetailDuplicate, fmt.Sprintf("The parameter %q stands twice with different values. Send it once.", name))
		return "", false
	}
	if len(all) == 0 || all[0] == "" {
		return "", false
	}
	return all[0], true
}

// Text is a text of at most limit characters, in the one form of package naming,
// and whether it is there.
func (q *Query) Text(name string, limit int) (string, bool) {
	v, ok := q.one(name)
	if !ok {
		return "", false
	}
	return q.word(name, v, limit)
}

// Texts is the list under name, repeated (also as name[]) or with commas, each
// of at most limit characters.
func (q *Query) Texts(name string, limit int) []string {
	var out []string
	for _, v := range slices.Concat(q.values[name], q.values[name+"[]"]) {
		for part := range strings.SplitSeq(v, ",") {
			text, ok := q.word(name, part, limit)
			switch {
			case !ok:
				return nil
			case text != "":
				out = append(out, text)
			}
		}
	}
	return out
}

func (q *Query) word(name, v string, limit int) (string, bool) {
	var character *naming.CharacterError
	text, err := naming.Clean(v, false)
	switch {
	case !utf8.ValidString(v):
		q.fault(name, fault.DetailMalformed, fmt.Sprintf("The parameter %q is not valid UTF-8.", name))
	case errors.As(err, &character):
		q.fault(name, fault.DetailMalformed, fmt.Sprintf("The parameter %q holds %v. Remove it.", name, character))
	case utf8.RuneCountInString(text) > limit:
		q.fault(name, fault.DetailTooLong, fmt.Sprintf("The parameter %q may have at most %d characters.", name, limit))
	default:
		return text, true
	}
	return "", false
}

// Int is an integer between least and most, and whether it is there.
func (q *Query) Int(name string, least, most int64) (int64, bool) {
	v, ok := q.one(name)
	if !ok {
		if all := q.values[name]; len(all) > 0 && all[0] == "" { // an empty text is no number
			q.fault(name, fault.DetailWrongKind, fmt.Sprintf("The parameter %q must be an integer.", name))
		}
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || len(v) > maxNumberBytes {
		q.fault(name, fault.DetailWrongKind, fmt.Sprintf("The parameter %q must be an integer.", name))
		return 0, false
	}
	if n < least || n > most {
		q.fault(name, fault.DetailOutOfRange, fmt.Sprintf("The parameter %q must lie between %d and %d.", name, least, most))
		return 0, false
	}
	return n, true
}

// IDs is the list under name of ids: positive integers below 2^53.
func (q *Query) IDs(name string) []int64 {
	var out []int64
	for _, text := range q.Texts(name, maxNumberBytes) {
		n, ok := parseID(text)
		if !ok {
			q.fault(name, fault.DetailWrongKind, fmt.Sprintf("Each value of %q must be an id: a positive integer.", name))
			return nil
		}
		out = append(out, n)
	}
	return out
}

// Any reports whether a parameter whose name begins so has a value.
func (q *Query) Any(prefix string) bool {
	for name, values := range q.values {
		if strings.HasPrefix(name, prefix) && slices.ContainsFunc(values, func(v string) bool { return v != "" }) {
			return true
		}
	}
	return false
}

// Sorting is the order that a request asks for.
type Sorting struct {
	By        string // created_at, updated_at, name or id
	Ascending bool
}

// ListQuery are the query parameters that Paging and Sorting read.
var ListQuery = append([]string{"sort_by", "sort_order"}, PageQuery...)

// Sorting reads sort_by and sort_order: the newest first where they are absent.
func (q *Query) Sorting() Sorting {
	return Sorting{
		By:        q.Enum("sort_by", "created_at", "created_at", "updated_at", "name", "id"),
		Ascending: strings.EqualFold(q.Enum("sort_order", "DESC", "DESC", "ASC", "desc", "asc"), "ASC"),
	}
}

// Mark returns the place of a row in a list of this order. The id keeps equal rows
// in one order on every page.
func (s Sorting) Mark(id int64, name string, created, updated Timestamp) Mark {
	m := Mark{ID: id}
	switch s.By {
	case "created_at":
		m.Number = time.Time(created).UnixMilli()
	case "updated_at":
		m.Number = time.Time(updated).UnixMilli()
	case "name":
		m.Text = name
	}
	return m
}

// Bool is a truth value, and whether it is there: true, True and 1 against
// false, False and 0.
func (q *Query) Bool(name string) (value, there bool) {
	v, ok := q.one(name)
	switch {
	case !ok:
		return false, false
	case v == "true" || v == "True" || v == "1":
		return true, true
	case v == "false" || v == "False" || v == "0":
		return false, true
	}
	near := nearest.To(v, []string{"true", "false"}, map[string]string{"yes": "true", "on": "true", "no": "false", "off": "false"})
	q.fault(name, fault.DetailWrongKind, fmt.Sprintf("The parameter %q must be true or false.", name)+nearest.Hint(near))
	return false, false
}

// Enum is one of the values allowed, or otherwise where the parameter is
// absent.
func (q *Query) Enum(name, otherwise string, allowed ...string) string {
	v, ok := q.one(name)
	if !ok {
		return otherwise
	}
	if !slices.Contains(allowed, v) {
		q.fault(name, fault.DetailUnknown, fmt.Sprintf("The parameter %q must be ", name)+oneOf(v, allowed))
		return otherwise
	}
	return v
}

// oneOf ends the sentence that a value must be one of those allowed, and suggests
// the nearest.
func oneOf(sent string, allowed []string) string {
	return "one of: " + strings.Join(allowed, ", ") + "." + nearest.Hint(nearest.To(sent, allowed, nil))
}

// Date is the beginning (UTC) of a day written YYYY-MM-DD; zero where absent.
func (q *Query) Date(name string) time.Time {
	v, ok := q.one(name)
	if !ok {
		return time.Time{}
	}
	t, err := time.Parse(time.DateOnly, v)
	if err != nil {
		q.fault(name, fault.DetailMalformed, fmt.Sprintf("The parameter %q must be a date, YYYY-MM-DD.", name))
	}
	return t
}

var spanForm = pattern.New(`^([0-9]{1,6})([dh])$`)

// Span is a length of time in days of 24 hours or in hours, "14d" or "48h", of
// at least an hour and at most so many days; zero where absent. As with Int, an
// empty text is none.
func (q *Query) Span(name string, mostDays int) time.Duration {
	v, ok := q.one(name)
	if !ok && (len(q.values[name]) == 0 || q.values[name][0] != "") {
		return 0
	}
	m := spanForm.FindStringSubmatch(v)
	if m == nil {
		q.fault(name, fault.DetailMalformed, fmt.Sprintf("The parameter %q must be a number of days or hours, such as 14d or 48h.", name))
		return 0
	}
	hours, _ := strconv.Atoi(m[1]) // at most six digits
	if m[2] == "d" {
		hours *= 24
	}
	if hours < 1 || hours > mostDays*24 {
		q.fault(name, fault.DetailOutOfRange, fmt.Sprintf("The parameter %q must lie between 1h and %dd.", name, mostDays))
		return 0
	}
	return time.Duration(hours) * time.Hour
}

// parseID reads a positive integer below 2^53 in its one decimal spelling.
func parseID(text string) (int64, bool) {
	if text == "" || len(text) > 16 || text[0] < '1' || text[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > id.Max {
		return 0, false
	}
	return n, true
}
