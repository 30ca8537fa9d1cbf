package dynamotest

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

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"credence/shared/store/dynamo"
)

// Store opens a store on new tables of the engine at an endpoint, behind a wire. The name
// is the prefix of the tables' names.
func Store(t *testing.T, endpoint, name string, now func() time.Time) (*dynamo.Store, *Wire) {
	t.Helper()
	between := &Wire{}
	client := dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, HTTPClient: &http.Client{Transport: between},
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	tables := dynamo.Tables{Meta: name + "-meta", Vault: name + "-vault", Audit: name + "-audit"}
	if err := dynamo.CreateTables(t.Context(), dynamo.LocalClient(endpoint), tables); err != nil {
		t.Fatal(err)
	}
	return dynamo.New(client, tables, dynamo.WithClock(now)), between
}

// Wire stands between the store's client and the DynamoDB engine.
type Wire struct {
	mu    sync.Mutex
	calls int
	nth   int // of the call that meets the fault, from 1; 0 = none
	fault string
	met   bool
}

// passing are faults that the store makes good by itself; each call of an
// operation meets another one of them. The others last.
var passing = []string{"cut off", "carried out and cut off", "throttled", "ill", "carried out and ill", "damaged", "unprocessed", "carried out and late"}

// The faults of Arm.
const (
	OnceEach   = "once" // one of those that the store makes good by itself
	Throttling = "throttled from then on"
	Answerless = "carried out without an answer from then on"
	Conflicts  = "in conflict from then on"
)

// Arm has the nth call from now on meet a fault; the zero value of both disarms.
func (w *Wire) Arm(nth int, f string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.nth, w.fault, w.met = 0, nth, f, false
	if f == OnceEach {
		w.fault = passing[nth%len(passing)]
	}
}

// Disarm ends the fault.
func (w *Wire) Disarm() { w.Arm(0, "") }

// Happened reports whether a call met the fault.
func (w *Wire) Happened() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.met }

// Calls returns the number of calls since Arm.
func (w *Wire) Calls() int { w.mu.Lock(); defer w.mu.Unlock(); return w.calls }

// Invisible reports whether an operation succeeds in spite of the fault.
func (w *Wire) Invisible(f string) bool { return f == OnceEach }

// befalls counts a call and names what befalls it, "" for nothing.
func (w *Wire) befalls() string {
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

// RoundTrip implements http.RoundTripper.
func (w *Wire) RoundTrip(r *http.Request) (*http.Response, error) {
	f := w.befalls()
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch f {
	case "cut off":
		return nil, io.ErrUnexpectedEOF
	case "throttled", Throttling:
		return said(r, 400, "ThrottlingException"), nil
	case "ill":
		return said(r, 500, "InternalServerError"), nil
	case Conflicts:
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
	case "carried out and cut off", Answerless:
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
