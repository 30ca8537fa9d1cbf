package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/fault"
	"credence/shared/httpapi"
)

func mustStack(t testing.TB, routes ...httpapi.Route) http.Handler {
	t.Helper()
	d := &desk{}
	h, err := httpapi.Stack(httpapi.Config{SignIn: d, Denials: d, Logger: slog.New(slog.DiscardHandler)}, routes)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestQueryReadsEachKind(t *testing.T) {
	withRequest(t, "/?n=7&b=True&c=0&e=admin&t=a%C3%A9&d=2026-01-31&l=a,b&l=c&l[]=d&same=1&same=1&zz=%00", "", func(r *httpapi.Request) {
		q := r.Query()
		n, hasN := q.Int("n", 1, 7)
		_, hasPage := q.Int("page", 1, 7)
		b, hasB := q.Bool("b")
		c, hasC := q.Bool("c")
		_, hasNo := q.Bool("no")
		text, _ := q.Text("t", 2)
		same, _ := q.Int("same", 0, 1)
		got := fmt.Sprintln(n, hasN, hasPage, b, hasB, c, hasC, hasNo, text, same, q.Enum("e", "owner", "admin", "owner"), q.Enum("no", "owner", "admin"),
			q.Date("d").Format(time.RFC3339), q.Date("no").IsZero(), q.Texts("l", 1), q.Err())
		want := "7 true false true true false true false aé 1 admin owner 2026-01-31T00:00:00Z true [a b c d] <nil>\n"
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

func TestAnEmptyTextIsNoNumber(t *testing.T) {
	withRequest(t, "/?page=&per_page", "", func(r *httpapi.Request) {
		q := r.Query()
		q.Paging()
		var f *fault.Error
		if !errors.As(q.Err(), &f) || len(f.Details) != 2 || f.Details[0].Pointer != "?page" || f.Details[1].Pointer != "?per_page" {
			t.Errorf("got %v", q.Err())
		}
	})
}

func TestQuerySaysAllFaultsAtOnce(t *testing.T) {
	withRequest(t, "/?n=8&m=x&k=1.0&b=yes&e=canary&f=Onwer&t=a%00&u=aaa&d=canary&l=aaa&w=1&w=2&v=%FF&x=0x1", "", func(r *httpapi.Request) {
		q := r.Query()
		for _, name := range []string{"n", "m", "k", "w", "x"} {
			q.Int(name, 1, 7)
		}
		q.Bool("b")
		q.Enum("e", "owner", "admin")
		q.Enum("f", "", "owner", "admin")
		q.Text("t", 9)
		q.Text("u", 2)
		q.Text("v", 2)
		q.Date("d")
		q.Texts("l", 2)
		want := []string{
			"?n out_of_range", "?m wrong_kind", "?k wrong_kind", "?w duplicate", "?x wrong_kind", "?b wrong_kind", "?e unknown_value", "?f unknown_value",
			"?t malformed", "?u too_long", "?v malformed", "?d malformed", "?l too_long",
		}
		err := q.Err()
		if got := details(err); !reflect.DeepEqual(got, want) || !fault.Is(err, fault.CodeInvalidParameter) {
			t.Errorf("faults are %q, want %q", got, want)
		}
		said := fmt.Sprintf("%+v", err.(*fault.Error).Details)
		if !strings.Contains(said, "Did you mean true?") || !strings.Contains(said, "Did you mean owner?") {
			t.Errorf("the nearest values are not named: %s", said)
		}
		if strings.Contains(said, "canary") || strings.Contains(said, "Onwer") {
			t.Error("the error repeats what was sent")
		}
	})
	for _, query := range []string{"%zz", "a=%", "a;b"} {
		withRequest(t, "/?"+query, "", func(r *httpapi.Request) {
			if err := r.Query().Err(); !fault.Is(err, fault.CodeInvalidParameter) {
				t.Errorf("%s: %v", query, err)
			}
		})
	}
}

func TestSpans(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"s=1h": time.Hour, "s=48h": 48 * time.Hour, "s=14d": 14 * 24 * time.Hour, "s=3650d": 3650 * 24 * time.Hour, "s=87600h": 87600 * time.Hour,
		"s=007d": 7 * 24 * time.Hour, "s=14d&s=14d": 14 * 24 * time.Hour, "": 0, "other=1": 0,
	} {
		withRequest(t, "/?"+text, "", func(r *httpapi.Request) {
			q := r.Query()
			if got := q.Span("s", 3650); got != want || q.Err() != nil {
				t.Errorf("%s: %v, %v; want %v", text, got, q.Err(), want)
			}
		})
	}
	for text, want := range map[string]string{
		"s=": "malformed", "s": "malformed", "s=14": "malformed", "s=d": "malformed", "s=14D": "malformed", "s=-1d": "malformed", "s=%2B1d": "malformed", "s=1.5d": "malformed",
		"s=30m": "malformed", "s=2w": "malformed", "s=14d2h": "malformed", "s=14%20d": "malformed", "s=14d%0a": "malformed", "s=%D9%A1d": "malformed", "s=9999999h": "malformed",
		"s=0d": "out_of_range", "s=0h": "out_of_range", "s=3651d": "out_of_range", "s=87601h": "out_of_range", "s=999999d": "out_of_range", "s=1d&s=2d": "duplicate",
	} {
		withRequest(t, "/?"+text, "", func(r *httpapi.Request) {
			q := r.Query()
			if got := q.Span("s", 3650); got != 0 || !reflect.DeepEqual(details(q.Err()), []string{"?s " + want}) {
				t.Errorf("%s: %v, %q; want %s", text, got, details(q.Err()), want)
			}
		})
	}
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"page=1&per_page=10", "page=-1", "page=1&page=2", "per_page=1001", "n=%zz", "s=14d", "s=999999d", "b=True", "t=%FF", "page=9999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		withRequest(t, "/?"+query, "", func(r *httpapi.Request) {
			q := r.Query()
			p := q.Paging()
			text, there := q.Text("t", 5)
			if span := q.Span("s", 10); span < 0 || span > 240*time.Hour {
				t.Fatalf("a span of %v", span)
			}
			if err := q.Err(); err != nil && !fault.Is(err, fault.CodeInvalidParameter) {
				t.Fatalf("%v", err)
			}
			if p.Page < 1 || p.PerPage < 1 || p.PerPage > httpapi.MaxPerPage || !there && text != "" {
				t.Fatalf("%+v %q", p, text)
			}
			if from, to, err := p.Window(37, func(int, httpapi.Mark) int { return 0 }); err != nil || from < 0 || from > to || to > 37 {
				t.Fatalf("window %d to %d, %v", from, to, err)
			}
		})
	})
}

func TestLists(t *testing.T) {
	for _, row := range []struct {
		query   string
		total   int
		rows    string
		headers map[string]string // "" = absent
	}{
		{"", 3, "[0,1,2]", map[string]string{"X-Total-Count": "3", "X-Current-Page": "", "X-Page-Count": "", "X-Total-Page-Count": "", "Link": ""}},
		{"", 0, "[]", map[string]string{"X-Total-Count": "0"}},
		{"page=1", 12, "[0,1,2,3,4,5,6,7,8,9]", map[string]string{
			"X-Total-Count": "12", "X-Current-Page": "1", "X-Page-Count": "10", "X-Total-Page-Count": "2",
			"Link": `</list?page=2&per_page=10>; rel="Next"`,
		}},
		{"page=2&per_page=5&access_role=a%26b&tags=x&tags=y", 12, "[5,6,7,8,9]", map[string]string{
			"X-Current-Page": "2", "X-Page-Count": "5", "X-Total-Page-Count": "3",
			"Link": `</list?access_role=a%26b&page=1&per_page=5&tags=x&tags=y>; rel="Previous", </list?access_role=a%26b&page=3&per_page=5&tags=x&tags=y>; rel="Next"`,
		}},
		{"page=3&per_page=5", 12, "[10,11]", map[string]string{"X-Page-Count": "2", "Link": `</list?page=2&per_page=5>; rel="Previous"`}},
		{"per_page=5", 3, "[0,1,2]", map[string]string{"X-Current-Page": "1", "X-Total-Page-Count": "1", "Link": ""}},
		{"page=9&per_page=5", 12, "[]", map[string]string{"X-Total-Count": "12", "X-Page-Count": "0", "X-Total-Page-Count": "3", "Link": `</list?page=3&per_page=5>; rel="Previous"`}},
		{"page=2147483647&per_page=1000", 12, "[]", map[string]string{"X-Page-Count": "0"}},
		{"page=1", 0, "[]", map[string]string{"X-Total-Page-Count": "0", "Link": ""}},
	} {
		w := list(t, row.query, row.total, "")
		if w.Code != 200 || w.Body.String() != row.rows {
			t.Errorf("%q of %d: %d %s", row.query, row.total, w.Code, w.Body)
		}
		for name, want := range row.headers {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%q of %d: %s is %q, want %q", row.query, row.total, name, got, want)
			}
		}
	}
}

func list(t *testing.T, query string, total int, filler string) *httptest.ResponseRecorder {
	t.Helper()
	h := mustStack(t, httpapi.Route{Pattern: "GET /list", Public: true, Query: []string{"*"}, Handle: func(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
		q := r.Query()
		p := q.Paging()
		if err := q.Err(); err != nil {
			return httpapi.Answer{}, err
		}
		from, to, err := p.Window(total, nil)
		if err != nil {
			return httpapi.Answer{}, err
		}
		var rows []any
		for n := from; n < to; n++ {
			if filler != "" {
				rows = append(rows, filler)
			} else {
				rows = append(rows, n)
			}
		}
		return httpapi.List(r, p, total, rows, func(any) httpapi.Mark { return httpapi.Mark{} }), nil
	}})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/list?"+query, nil))
	return w
}

func TestAListIsNeverCutSilently(t *testing.T) {
	kilobyte := strings.Repeat("k", 1000)
	for _, row := range []struct {
		query, filler string
		total, status int
	}{
		{"", "", 5000, 200},
		{"", "", 5001, 400},
		{"page=1", "", 5001, 200},
		{"", kilobyte, 4400, 200},
		{"", kilobyte, 4600, 400},
		{"per_page=1000", strings.Repeat(kilobyte, 5), 1000, 400},
	} {
		w := list(t, row.query, row.total, row.filler)
		if w.Code != row.status || w.Code == 400 && !strings.Contains(w.Body.String(), `"page_required"`) {
			t.Errorf("%q of %d: %d", row.query, row.total, w.Code)
		}
	}
	for _, query := range []string{"page=0", "page=-1", "per_page=0", "per_page=1001", "page=x", "per_page=1e3"} {
		if w := list(t, query, 5, ""); w.Code != 400 || !strings.Contains(w.Body.String(), `"invalid_parameter"`) {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
	}
}

func TestTimestamps(t *testing.T) {
	zone := time.FixedZone("", 3600)
	for want, at := range map[string]time.Time{
		`"2023-01-15T20:24:25.209Z"`: time.Date(2023, 1, 15, 21, 24, 25, 209_999_999, zone),
		`"2023-01-15T20:24:25.000Z"`: time.Date(2023, 1, 15, 20, 24, 25, 0, time.UTC),
		`"2023-01-15T20:24:25.100Z"`: time.Date(2023, 1, 15, 20, 24, 25, 100_000_000, time.UTC),
		`null`:                       {},
	} {
		got, err := json.Marshal(httpapi.Timestamp(at))
		if err != nil || string(got) != want {
			t.Errorf("%v is %s, %v; want %s", at, got, err, want)
		}
	}
}

// TestUnknownParameters shows that a parameter which a route does not list is
// refused with the nearest of those, also by a route that reads none.
func TestUnknownParameters(t *testing.T) {
	serve := func(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
		q := r.Query()
		q.Int("n", 1, 7)
		return httpapi.Answer{}, q.Err()
	}
	h := mustStack(t,
		httpapi.Route{Pattern: "GET /list", Public: true, Query: []string{"tags[]", "credentials_type", "name", "per_page", "n", "vendor_*"}, Handle: serve},
		httpapi.Route{Pattern: "GET /none", Public: true, Handle: func(context.Context, *httpapi.Request) (httpapi.Answer, error) { return httpapi.Answer{}, nil }},
	)
	for target, want := range map[string]string{
		"/list?tags=a&tags[]=b&vendor_name=x&n=1": "",
		"/list?tag=x":              "[?tags unknown_value] Did you mean tags?",
		"/list?credential_type=s3": "[?credentials_type unknown_value] Did you mean credentials_type?",
		"/list?search=x":           "[?name unknown_value] Did you mean name?",
		"/list?limit=5":            "[?per_page unknown_value] Did you mean per_page?",
		"/list?name[]=x":           "[?name unknown_value] Did you mean name?",
		"/list?zzzzzzzz=canary":    "[? unknown_value] It takes: tags, credentials_type, name, per_page, n, vendor_*.",
		"/list?tag=x&n=9":          "[?tags unknown_value ?n out_of_range] listed in details",
		"/none?expand=1":           "[? unknown_value] Send none.",
		"/none?":                   "",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		if want == "" {
			if w.Code != 200 {
				t.Errorf("%s: %d %s", target, w.Code, w.Body)
			}
			continue
		}
		var body struct {
			Message string `json:"message"`
			Details []struct {
				Pointer string `json:"pointer"`
				Code    string `json:"code"`
			} `json:"details"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		said := make([]string, len(body.Details))
		for n, d := range body.Details {
			said[n] = d.Pointer + " " + d.Code
		}
		got := fmt.Sprint(said, " ", body.Message)
		if listed, sentence, _ := strings.Cut(want, "] "); w.Code != 400 || !strings.HasPrefix(got, listed+"]") || !strings.Contains(got, sentence) {
			t.Errorf("%s: %d %s, want %s", target, w.Code, got, want)
		}
		if strings.Contains(w.Body.String(), "canary") || strings.Contains(w.Body.String(), "zzzz") {
			t.Errorf("%s: the answer repeats what was sent", target)
		}
	}
}
