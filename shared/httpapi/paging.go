package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"credence/shared/fault"
)

// Limits of lists.
const (
	DefaultPerPage = 10
	MaxPerPage     = 1000
	MaxUnpaged     = 5000 // rows that may be asked for at once
)

// Paging is the part of a list that a request asks for.
type Paging struct {
	On      bool // page or per_page was given; otherwise all of the list is asked for
	Page    int  // from 1
	PerPage int
}

// Paging reads page (from 1) and per_page (1 to MaxPerPage).
func (q *Query) Paging() Paging {
	page, paged := q.Int("page", 1, 1<<31-1)
	per, sized := q.Int("per_page", 1, MaxPerPage)
	p := Paging{On: paged || sized, Page: 1, PerPage: DefaultPerPage}
	if paged {
		p.Page = int(page)
	}
	if sized {
		p.PerPage = int(per)
	}
	return p
}

// Window is the half-open span of rows asked for, of a list that has total of
// them; empty behind the end. A list of more than MaxUnpaged rows is never cut
// silently: asked for whole it is page_required.
func (p Paging) Window(total int) (from, to int, err error) {
	if !p.On {
		if total > MaxUnpaged {
			return 0, 0, fault.New(fault.CodePageRequired, fmt.Sprintf(
				"The list has more than %d rows. Ask for pages with page and per_page.", MaxUnpaged))
		}
		return 0, total, nil
	}
	first := (int64(p.Page) - 1) * int64(p.PerPage)
	if first >= int64(total) {
		return total, total, nil
	}
	return int(first), min(int(first)+p.PerPage, total), nil
}

// List answers rows as a bare array with the headers of lists. Total is what
// the caller would get without paging; rows are those of the Window.
func List[T any](r *Request, p Paging, total int, rows []T) Answer {
	h := http.Header{}
	h.Set("X-Total-Count", strconv.Itoa(total))
	if p.On {
		pages := (total + p.PerPage - 1) / p.PerPage
		h.Set("X-Current-Page", strconv.Itoa(p.Page))
		h.Set("X-Page-Count", strconv.Itoa(len(rows)))
		h.Set("X-Total-Page-Count", strconv.Itoa(pages))
		if link := p.link(r.HTTP.URL, pages); link != "" {
			h.Set("Link", link)
		}
	}
	return Answer{Header: h, Body: append([]T{}, rows...), list: true}
}

// link points to the neighbouring pages that have rows. The targets are
// relative (RFC 8288, section 3.1): the host that a client sent is not to be
// repeated to it.
func (p Paging) link(u *url.URL, pages int) string {
	var links []string
	add := func(page int, rel string) {
		q := u.Query()
		q.Set("page", strconv.Itoa(page))
		q.Set("per_page", strconv.Itoa(p.PerPage))
		links = append(links, fmt.Sprintf("<%s?%s>; rel=%q", u.EscapedPath(), q.Encode(), rel))
	}
	if p.Page > 1 && pages > 0 {
		add(min(p.Page-1, pages), "Previous")
	}
	if p.Page < pages {
		add(p.Page+1, "Next")
	}
	return strings.Join(links, ", ")
}
