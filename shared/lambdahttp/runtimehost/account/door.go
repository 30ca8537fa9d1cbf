//go:build unix

package account

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
)

const maxCall = 16 << 20 // the longest request that DynamoDB takes

// Call is one action on one table, or on the key, as IAM counts them.
type Call struct{ Function, Table, Action string }

// ledger is what one function did, and what it was kept from.
type ledger struct {
	function string

	mu       sync.Mutex
	made     map[Call]int
	refused  map[Call]int
	withheld map[Call]bool // granted, and not to be had for now
}

func newLedger(function string) *ledger {
	return &ledger{function: function, made: map[Call]int{}, refused: map[Call]int{}, withheld: map[Call]bool{}}
}

// may reports whether all of the calls are granted, and writes them down.
func (l *ledger) may(calls []Call, granted func(Call) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := true
	for _, c := range calls {
		c.Function = l.function
		if granted(c) && !l.withheld[c] {
			l.made[c]++
			continue
		}
		l.refused[c]++
		ok = false
	}
	return ok
}

// door stands between one function and the engine, which knows no rights. It
// lets through what the function's role may do and writes down what it did.
type door struct {
	*ledger
	allowed map[string][]string // table → actions
	engine  http.Handler
}

func newDoor(d Deployed, engine *url.URL) *door {
	return &door{
		ledger: newLedger(d.ID), allowed: d.Tables,
		engine: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(engine)
			r.Out.Host = r.In.Host // it is signed
		}},
	}
}

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	calls, known := callsOf(operation, body)
	granted := func(c Call) bool { return slices.Contains(d.allowed[c.Table], c.Action) }
	if err != nil || !known || !d.may(calls, granted) {
		deny(w, "application/x-amz-json-1.0")
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	d.engine.ServeHTTP(w, r)
}

func deny(w http.ResponseWriter, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, `{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"the role of the function does not allow this"}`)
}

// callsOf is what IAM sees in a request. A transaction has no right of its own:
// each of its parts needs the right to be made alone.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
func callsOf(operation string, body []byte) ([]Call, bool) {
	var in struct {
		TableName     string
		RequestItems  map[string]any
		TransactItems []map[string]struct{ TableName string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, false
	}
	var calls []Call
	switch operation {
	case "BatchGetItem":
		for table := range in.RequestItems {
			calls = append(calls, Call{Table: table, Action: operation})
		}
	case "TransactWriteItems":
		for _, item := range in.TransactItems {
			for verb, what := range item {
				action := map[string]string{"Put": "PutItem", "Delete": "DeleteItem", "Update": "UpdateItem", "ConditionCheck": "ConditionCheckItem"}[verb]
				calls = append(calls, Call{Table: what.TableName, Action: action})
			}
		}
	default:
		calls = []Call{{Table: in.TableName, Action: operation}}
	}
	return calls, len(calls) > 0
}

func (c Call) String() string { return fmt.Sprintf("%s: %s on %s", c.Function, c.Action, c.Table) }
