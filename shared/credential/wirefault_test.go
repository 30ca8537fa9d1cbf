package credential_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"      //nolint:depguard // of the client whose exchanges this test breaks
	"github.com/aws/aws-sdk-go-v2/service/dynamodb" //nolint:depguard // the same

	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/store"
	"credence/shared/store/dynamo"
)

// wire stands between the store's client and the DynamoDB engine.
type wire struct {
	mu    sync.Mutex
	calls int
	nth   int // of the call that meets the fault, from 1; 0 = none
	fault string
	met   bool
}

// passing are faults that the store makes good by itself; each call of an
// operation meets another one of them. The others last.
var passing = []string{"cut off", "carried out and cut off", "throttled", "ill", "carried out and ill", "damaged", "unprocessed", "carried out and late"}

const (
	onceEach   = "once"
	throttling = "throttled from then on"
	answerless = "carried out without an answer from then on"
	conflicts  = "in conflict from then on"
)

func (w *wire) arm(nth int, f string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.nth, w.fault, w.met = 0, nth, f, false
	if f == onceEach {
		w.fault = passing[nth%len(passing)]
	}
}

func (w *wire) disarm() { w.arm(0, "") }

func (w *wire) happened() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.met }

func (w *wire) invisible(f string) bool { return f == onceEach }

// befalls counts a call and names what befalls it, "" for nothing.
func (w *wire) befalls() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	lasts := strings.HasSuffix(w.fault, "from then on")
	if w.nth == 0 || w.calls < w.nth || w.calls > w.nth && !lasts {
		return ""
	}
	w.met = true
	return w.fault
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	f := w.befalls()
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch f {
	case "cut off":
		return nil, io.ErrUnexpectedEOF
	case "throttled", throttling:
		return said(r, 400, "ThrottlingException"), nil
	case "ill":
		return said(r, 500, "InternalServerError"), nil
	case conflicts:
		switch op {
		case "TransactWriteItems":
			resp := said(r, 400, "TransactionCanceledException")
			resp.Body = io.NopCloser(strings.NewReader(`{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","CancellationReasons":[{"Code":"TransactionConflict"}]}`))
			return resp, nil
		case "PutItem", "DeleteItem":
			return said(r, 400, "TransactionConflictException"), nil
		}
	case "unprocessed":
		if op == "BatchGetItem" {
			body, err := io.ReadAll(r.Body)
			text, _ := bytes.CutSuffix(bytes.TrimPrefix(body, []byte(`{"RequestItems":`)), []byte("}"))
			resp := said(r, 200, "")
			if i := bytes.LastIndex(text, []byte(`,"ReturnConsumedCapacity"`)); i > 0 {
				text = text[:i]
			}
			resp.Body = io.NopCloser(strings.NewReader(fmt.Sprintf(`{"Responses":{},"UnprocessedKeys":%s}`, text)))
			return resp, err
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch f {
	case "carried out and cut off", answerless:
		_ = resp.Body.Close()
		return nil, io.ErrUnexpectedEOF
	case "carried out and late": // as http.Transport reports it at the end of the attempt
		_ = resp.Body.Close()
		return nil, context.DeadlineExceeded
	case "carried out and ill":
		_ = resp.Body.Close()
		return said(r, 500, "InternalServerError"), nil
	case "damaged":
		resp.Header.Set("X-Amz-Crc32", "12345")
	}
	return resp, nil
}

func said(r *http.Request, status int, code string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body:   io.NopCloser(strings.NewReader(`{"__type":"com.amazonaws.dynamodb.v20120810#` + code + `"}`)),
	}
}

// newWired is a world over tables of its own in the engine at an endpoint, behind
// a wire.
func newWired(t *testing.T, endpoint, name string) (*world, *wire) {
	t.Helper()
	between := &wire{}
	client := dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: &http.Client{Transport: between},
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	tables := dynamo.Tables{Meta: name + "-meta", Vault: name + "-vault", Audit: name + "-audit"}
	if err := dynamo.CreateTables(t.Context(), dynamo.LocalClient(endpoint), tables); err != nil {
		t.Fatal(err)
	}
	return newWorldOver(t, func(now func() time.Time) store.Store {
		return dynamo.New(client, tables, dynamo.WithClock(now))
	}), between
}

// TestEveryCallOverDynamoDB breaks each exchange with DynamoDB that an operation
// makes. What passes is made good unseen; what lasts is answered truly.
func TestEveryCallOverDynamoDB(t *testing.T) {
	endpoint := engine(t)
	t.Run("all", func(t *testing.T) { // which ends before the engine does
		for n, o := range tasks {
			for m, f := range []string{onceEach, throttling, answerless} {
				t.Run(o.name+" "+f, func(t *testing.T) {
					t.Parallel()
					w, between := newWired(t, endpoint, fmt.Sprintf("wired-%d-%d", n, m))
					if met := o.everyCall(w, between, f, nil); met < 2 {
						t.Errorf("only %d calls were met", met)
					}
					w.checkOf("USE#")
				})
			}
		}
	})
}

// TestConflictThatLasts counts the calls of one 409: twice a range and four
// commits, and a read in between.
func TestConflictThatLasts(t *testing.T) {
	w, between := newWired(t, engine(t), "conflict")
	id := w.create(w.owner).ID
	read := load[credential.ForChange](w, w.owner, id)
	between.arm(1, conflicts)
	start := time.Now()
	_, err := w.editor.Update(context.Background(), w.owner, read, credential.Draft{Credentials: postgres("n")})
	w.wantFault(err, fault.CodeConflict)
	if between.calls != 11 {
		t.Errorf("%d calls, want 11", between.calls)
	}
	t.Logf("%d calls in %v", between.calls, time.Since(start))
}
