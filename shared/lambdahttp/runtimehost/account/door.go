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

// Call is one action on one table, as IAM counts them.
type Call struct{ Function, Table, Action string }

// door stands between one function and the engine, which knows no rights. It
// lets through what the function's role may do and writes down what it did.
type door struct {
	function string
	allowed  map[string][]string // table → actions
	engine   http.Handler

	mu      sync.Mutex
	made    map[Call]int
	refused map[Call]int
}

func newDoor(d Deployed, engine *url.URL) *door {
	return &door{
		function: d.ID, allowed: d.Tables, made: map[Call]int{}, refused: map[Call]int{},
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
	if err != nil || !known || !d.may(calls) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"the role of the function does not allow this"}`)
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	d.engine.ServeHTTP(w, r)
}

// may reports whether all of the calls are allowed, and writes them down.
func (d *door) may(calls []Call) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	ok := true
	for _, c := range calls {
		c.Function = d.function
		if slices.Contains(d.allowed[c.Table], c.Action) {
			d.made[c]++
			continue
		}
		d.refused[c]++
		ok = false
	}
	return ok
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
