//go:build unix

package runtimehost

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// api is the Runtime API of one environment, version 2018-06-01.
func (e *environment) api() http.Handler {
	const base = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"invocation/next", e.serveNext)
	mux.HandleFunc("POST "+base+"invocation/{id}/response", e.serveResponse)
	mux.HandleFunc("POST "+base+"invocation/{id}/error", e.serveError)
	mux.HandleFunc("POST "+base+"init/error", e.serveInitError)
	return mux
}

// serveNext holds the runtime until there is an event for it.
func (e *environment) serveNext(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	refused := e.polling || e.current != nil
	e.polling = !refused || e.polling
	e.mu.Unlock()
	if refused {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "the last invocation has no answer yet")
		return
	}
	e.ready <- struct{}{} // of one: polling keeps a second out
	var inv *invocation
	select {
	case inv = <-e.next:
	case <-e.killed:
		return
	case <-r.Context().Done():
		return
	}
	e.mu.Lock()
	e.current, e.polling = inv, false
	e.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(inv.payload)))
	h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:"+functionName)
	h.Set("Lambda-Runtime-Trace-Id", traceID())
	_, _ = w.Write(inv.payload) // a runtime that is gone shows as an exit
}

func (e *environment) serveResponse(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequest", "the response was cut off")
		return
	}
	if len(body) > maxPayload {
		doc := document("Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (%d bytes).", maxPayload)
		if e.settle(w, r.PathValue("id"), answer{doc, true}) {
			refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", maxPayload))
		}
		return
	}
	a := answer{payload: body}
	// A runtime that streams finds out too late that it failed, and says so in
	// trailers.
	if kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); kind != "" {
		doc, err := base64.StdEncoding.DecodeString(r.Trailer.Get("Lambda-Runtime-Function-Error-Body"))
		if err != nil || len(doc) == 0 {
			doc = document(kind, "Error: the function failed while it answered")
		}
		a = answer{doc, true}
	}
	if e.settle(w, r.PathValue("id"), a) {
		w.WriteHeader(http.StatusAccepted)
	}
}

func (e *environment) serveError(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequest", "the error was too long or cut off")
		return
	}
	if e.settle(w, r.PathValue("id"), answer{body, true}) {
		w.WriteHeader(http.StatusAccepted)
	}
}

// settle gives the current invocation its one answer. For any other it answers
// the runtime itself and reports false.
func (e *environment) settle(w http.ResponseWriter, id string, a answer) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.current == nil || e.current.id != id {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "this invocation is not the current one, or has its answer")
		return false
	}
	e.current.answer <- a // room for one, and current is cleared with it
	e.current = nil
	return true
}

func (e *environment) serveInitError(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequest", "the error was too long or cut off")
		return
	}
	select {
	case e.initFail <- body:
		w.WriteHeader(http.StatusAccepted)
	default:
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "an error was reported before")
	}
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(document(kind, "%s", message))
}

// traceID is the header of an X-Ray trace that is not sampled.
func traceID() string {
	id := strings.ReplaceAll(requestID(), "-", "")
	return "Root=1-" + id[:8] + "-" + id[8:] + ";Sampled=0"
}
