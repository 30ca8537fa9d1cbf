package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
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

// PageQuery are the query parameters that Paging reads.
var PageQuery = []string{"page", "per_page", "cursor"}

// Paging is the part of a list that a request asks for: page N by count of rows,
// or the rows behind or before the place that a cursor names. A cursor comes from
// the Link of another page; following it shows each row that stays exactly once,
// whatever was inserted or deleted in the meantime.
type Paging struct {
	On      bool // page, per_page or cursor was given; otherwise all of the list is asked for
	Page    int  // from 1
	PerPage int
	Start   *Start // nil without a cursor

	list          string // path and filters: the list that a cursor belongs to
	before, after bool   // rows lie before, or behind, those of the page
}

// Mark is the place of a row in the order of its list: the value that the list is
// sorted by, as a text or as a number, and the id, which tells equal values apart.
type Mark struct {
	Text   string `json:"t,omitzero"`
	Number int64  `json:"n,omitzero"`
	ID     int64  `json:"i"`
}

// Start is where a page begins: behind the row at Mark, or with Back so that it
// ends before it. The row need not exist any more.
type Start struct {
	Mark
	Back bool `json:"b,omitzero"`
	Page int  `json:"p"` // what X-Current-Page says of the page
}

// Paging reads page (from 1), per_page (1 to MaxPerPage) and cursor.
func (q *Query) Paging() *Paging {
	page, paged := q.Int("page", 1, 1<<31-1)
	per, sized := q.Int("per_page", 1, MaxPerPage)
	p := &Paging{On: paged || sized, Page: 1, PerPage: DefaultPerPage, list: q.list()}
	if paged {
		p.Page = int(page)
	}
	if sized {
		p.PerPage = int(per)
	}
	text, there := q.one("cursor")
	if !there {
		return p
	}
	start, ok := readCursor(p.list, text)
	switch {
	case !ok:
		q.fault("cursor", fault.DetailMalformed, "The cursor does not belong to this list. Take it from the Link of a page, and keep the filters and the order of that page.")
	case paged && start.Page != p.Page:
		q.fault("page", fault.DetailConflict, "The cursor is of another page. Follow the Link as it is, or send page without cursor.")
	default:
		p.On, p.Page, p.Start = true, start.Page, &start
	}
	return p
}

// Window returns the half-open span of rows asked for, of a list that has total
// of them; empty behind the end. Compare orders row i of the list against a
// mark. A list of more than MaxUnpaged rows is never cut silently: asked for
// whole it is page_required.
func (p *Paging) Window(total int, compare func(i int, m Mark) int) (from, to int, err error) {
	if !p.On {
		if total > MaxUnpaged {
			return 0, 0, fault.New(fault.CodePageRequired, fmt.Sprintf(
				"The list has more than %d rows. Ask for pages with page and per_page.", MaxUnpaged))
		}
		return 0, total, nil
	}
	behind := func(least int) int {
		return sort.Search(total, func(i int) bool { return compare(i, p.Start.Mark) >= least })
	}
	switch {
	case p.Start == nil:
		from = int(min((int64(p.Page)-1)*int64(p.PerPage), int64(total)))
		to = min(from+p.PerPage, total)
	case p.Start.Back:
		to = behind(0)
		from = max(0, to-p.PerPage)
	default:
		from = behind(1)
		to = min(from+p.PerPage, total)
	}
	p.Around(from > 0, to < total)
	return from, to, nil
}

// Around records whether rows lie before the page and behind it, for lists that
// read a page without Window.
func (p *Paging) Around(before, after bool) { p.before, p.after = before, after }

// List answers rows as a bare array with the headers of lists. Total is what
// the caller would get without paging; rows are those of the Window, and mark
// names the place of each.
func List[T any](r *Request, p *Paging, total int, rows []T, mark func(row T) Mark) Answer {
	h := http.Header{}
	h.Set("X-Total-Count", strconv.Itoa(total))
	if p.On {
		pages := (total + p.PerPage - 1) / p.PerPage
		h.Set("X-Current-Page", strconv.Itoa(p.Page))
		h.Set("X-Page-Count", strconv.Itoa(len(rows)))
		h.Set("X-Total-Page-Count", strconv.Itoa(pages))
		var links []string
		if p.before {
			to := Start{Back: true, Page: max(pages, 1)} // by count, from behind the end
			if len(rows) > 0 {
				to.Mark, to.Page = mark(rows[0]), max(p.Page-1, 1)
			}
			links = append(links, p.link(r.HTTP.URL, to, "Previous"))
		}
		if p.after {
			links = append(links, p.link(r.HTTP.URL, nextStart(p, rows, mark), "Next"))
		}
		if len(links) > 0 {
			h.Set("Link", strings.Join(links, ", "))
		}
	}
	return Answer{Header: h, Body: append([]T{}, rows...), list: true}
}

// nextStart is where the page behind these rows begins. A page of which every row
// was deleted while it was read is asked for again.
func nextStart[T any](p *Paging, rows []T, mark func(row T) Mark) Start {
	switch {
	case len(rows) > 0:
		return Start{Mark: mark(rows[len(rows)-1]), Page: p.Page + 1}
	case p.Start != nil && !p.Start.Back:
		return *p.Start
	case p.Start != nil:
		return Start{Page: 1}
	}
	return Start{Page: p.Page}
}

// SortedList sorts all rows of a list by their marks and answers the page asked
// for.
func SortedList[T any](r *Request, p *Paging, all []T, ascending bool, mark func(row T) Mark) (Answer, error) {
	page, err := Sorted(p, all, ascending, mark)
	if err != nil {
		return Answer{}, err
	}
	return List(r, p, len(all), page, mark), nil
}

// Sorted sorts all rows of a list by their marks and returns the page asked for.
func Sorted[T any](p *Paging, all []T, ascending bool, mark func(row T) Mark) ([]T, error) {
	compare := func(x, y Mark) int {
		n := cmp.Or(cmp.Compare(x.Text, y.Text), cmp.Compare(x.Number, y.Number), cmp.Compare(x.ID, y.ID))
		if ascending {
			return n
		}
		return -n
	}
	slices.SortFunc(all, func(x, y T) int { return compare(mark(x), mark(y)) })
	from, to, err := p.Window(len(all), func(i int, m Mark) int { return compare(mark(all[i]), m) })
	if err != nil {
		return nil, err
	}
	return all[from:to], nil
}

// link points to a neighbouring page. The target is relative (RFC 8288, section
// 3.1): the host that a client sent is not to be repeated to it.
func (p *Paging) link(u *url.URL, to Start, rel string) string {
	q := u.Query()
	q.Set("page", strconv.Itoa(to.Page))
	q.Set("per_page", strconv.Itoa(p.PerPage))
	q.Del("cursor")
	if to.Mark != (Mark{}) {
		q.Set("cursor", to.cursor(p.list))
	}
	return fmt.Sprintf("<%s?%s>; rel=%q", u.EscapedPath(), q.Encode(), rel)
}
