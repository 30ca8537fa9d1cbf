package httpapi_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"credence/shared/httpapi"
)

// row is one of a list that changes under its readers.
type row struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

func (r row) mark() httpapi.Mark { return httpapi.Mark{Text: r.Name, ID: r.ID} }

// changing serves rows, sorted by name.
func changing(t *testing.T, rows *[]row) http.Handler {
	return mustStack(t, httpapi.Route{Pattern: "GET /rows", Public: true, Query: slices.Concat([]string{"name"}, httpapi.ListQuery), Handle: func(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
		q := r.Query()
		p, order := q.Paging(), q.Sorting()
		if err := q.Err(); err != nil {
			return httpapi.Answer{}, err
		}
		return httpapi.SortedList(r, p, slices.Clone(*rows), order.Ascending, row.mark)
	}})
}

var linkForm = regexp.MustCompile(`<([^>]*)>; rel="(\w+)"`)

// page asks for one and returns its rows and where it links to.
func page(t *testing.T, h http.Handler, target string) (rows []row, links map[string]string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
	if w.Code != 200 {
		t.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &rows); err != nil {
		t.Fatal(err)
	}
	links = map[string]string{}
	for _, m := range linkForm.FindAllStringSubmatch(w.Header().Get("Link"), -1) {
		links[m[2]] = m[1]
	}
	return rows, links
}

// TestFollowingLinks walks forwards and back through lists that change between
// any two pages: each row that stays is seen exactly once, in the order asked.
func TestFollowingLinks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for trial := range 200 {
		var rows []row
		next := int64(0)
		insert := func() {
			next++
			rows = append(rows, row{next, string(rune('a' + r.IntN(5)))}) // names repeat
		}
		for range r.IntN(30) {
			insert()
		}
		h, gone := changing(t, &rows), map[int64]bool{}
		stays := slices.Clone(rows)
		change := func() {
			for range r.IntN(4) {
				if r.IntN(2) == 0 || len(rows) == 0 {
					insert()
					continue
				}
				i := r.IntN(len(rows))
				gone[rows[i].ID] = true
				rows = slices.Delete(rows, i, i+1)
			}
		}
		walk := func(target, rel string) (seen []row, last string) {
			for target != "" {
				got, links := page(t, h, target)
				if rel == "Previous" {
					slices.Reverse(got)
				}
				seen, last, target = append(seen, got...), target, links[rel]
				change()
			}
			return seen, last
		}
		order := []string{"ASC", "DESC"}[trial%2]
		forward, last := walk(fmt.Sprintf("/rows?sort_order=%s&per_page=%d", order, 1+r.IntN(5)), "Next")
		exactlyOnce(t, forward, stays, gone, order == "ASC")
		stays, gone = slices.Clone(rows), map[int64]bool{}
		first, links := page(t, h, last)
		back, _ := walk(links["Previous"], "Previous")
		slices.Reverse(back)
		if links["Previous"] != "" {
			for _, kept := range stays { // those behind the page it starts from are not walked to
				if len(first) > 0 && compareRows(kept, first[0], order == "ASC") >= 0 {
					gone[kept.ID] = true
				}
			}
			exactlyOnce(t, back, stays, gone, order == "ASC")
		}
		if t.Failed() {
			t.Fatalf("trial %d, %s", trial, order)
		}
	}
}

func compareRows(a, b row, ascending bool) int {
	n := strings.Compare(a.Name, b.Name)
	if n == 0 {
		n = int(a.ID - b.ID)
	}
	if !ascending {
		return -n
	}
	return n
}

func exactlyOnce(t *testing.T, seen, stays []row, gone map[int64]bool, ascending bool) {
	t.Helper()
	if !slices.IsSortedFunc(seen, func(a, b row) int { return compareRows(a, b, ascending) }) {
		t.Errorf("out of order: %v", seen)
	}
	times := map[int64]int{}
	for _, s := range seen {
		times[s.ID]++
	}
	for _, s := range stays {
		if n := times[s.ID]; n > 1 || n == 0 && !gone[s.ID] {
			t.Errorf("row %d stayed and was seen %d times", s.ID, n)
		}
	}
}

// TestCursorsAreChecked shows that a cursor counts only as it was made, and only
// for its own list.
func TestCursorsAreChecked(t *testing.T) {
	rows := []row{{1, "a"}, {2, "b"}, {3, "c"}}
	h := changing(t, &rows)
	_, links := page(t, h, "/rows?per_page=1&name=x")
	next := links["Next"]
	cursor := regexp.MustCompile(`cursor=([^&]+)`).FindStringSubmatch(next)[1]
	flipped := cursor[:10] + string(cursor[10]^1) + cursor[11:]
	for target, want := range map[string]int{
		next:                            200,
		"/rows?name=x&cursor=" + cursor: 200, // ten a page
		"/rows?cursor=" + cursor:        400, // another filter
		"/rows?name=x&sort_order=ASC&cursor=" + cursor:     400,
		strings.Replace(next, "page=2", "page=3", 1):       400,
		strings.Replace(next, cursor, flipped, 1):          400,
		strings.Replace(next, cursor, cursor[:20], 1):      400,
		strings.Replace(next, cursor, cursor+"A", 1):       400,
		"/rows?name=x&cursor=canary":                       400,
		"/rows?name=x&cursor=" + strings.Repeat("A", 5000): 400,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if w.Code != want || strings.Contains(w.Body.String(), "canary") {
			t.Errorf("%s: %d %s, want %d", target, w.Code, w.Body, want)
		}
	}
}
