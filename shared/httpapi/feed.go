package httpapi

import (
	"net/http"
	"strconv"
	"strings"
)

// Feed is what is known of a page that was read from a place and not cut out of
// a whole list, so that its total may be unknown.
type Feed struct {
	Total  int   // rows of the list; -1 = not counted
	Before *Mark // rows lie before this place; nil = none
	After  *Mark // rows lie behind this place; nil = none
}

// Answer answers the n rows of the page as a bare array with the headers of lists.
// X-Total-Count and X-Total-Page-Count are left out where the rows are not
// counted.
func (f Feed) Answer(r *Request, p *Paging, n int, rows any) Answer {
	h := http.Header{}
	if f.Total >= 0 {
		h.Set("X-Total-Count", strconv.Itoa(f.Total))
	}
	if !p.On {
		return Answer{Header: h, Body: rows, list: true}
	}
	h.Set("X-Current-Page", strconv.Itoa(p.Page))
	h.Set("X-Page-Count", strconv.Itoa(n))
	if f.Total >= 0 {
		h.Set("X-Total-Page-Count", strconv.Itoa((f.Total+p.PerPage-1)/p.PerPage))
	}
	var links []string
	if f.Before != nil {
		links = append(links, p.link(r.HTTP.URL, Start{Mark: *f.Before, Back: true, Page: max(p.Page-1, 1)}, "Previous"))
	}
	if f.After != nil {
		links = append(links, p.link(r.HTTP.URL, Start{Mark: *f.After, Page: p.Page + 1}, "Next"))
	}
	if len(links) > 0 {
		h.Set("Link", strings.Join(links, ", "))
	}
	return Answer{Header: h, Body: rows, list: true}
}
