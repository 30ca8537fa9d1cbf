// Package fault is the one kind of error that a user may read. It carries a
// stable code, a sentence that says what to do, pointers to the fields at
// fault, and, for the log only, the cause. Whatever is not a fault is internal:
// logged, and shown as nothing.
package fault

import (
	"errors"
	"time"
)

// Detail is one thing wrong with a request.
type Detail struct {
	Pointer string // RFC 6901, into the body; "" for the whole; "?name" for a query parameter
	Code    string // stable, one of the Detail codes of code.go
	Message string // a sentence: what is wrong and what to do. Never the value sent
}

// Error is a fault. Make it with New or one of the helpers; the fields are
// read by the one file that renders answers.
type Error struct {
	Code         Code
	Message      string
	Details      []Detail
	RetryAfter   time.Duration // sent as Retry-After, rounded up to a second; 0 = absent
	ResourceType string        // "DataCredentials", or "" where none is concerned
	ResourceID   int64         // 0 where none is concerned
	References   *References   // for CodeInUse only
	cause        error
}

// References names what keeps a thing from being deleted.
type References struct{ DataSources, DataSinks []int64 }

// New makes a fault of a code with its sentence.
func New(code Code, message string) *Error { return &Error{Code: code, Message: message} }

// Error is for logs: the code and the public sentence. The cause stands beside
// it, under Unwrap.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Unwrap gives the private cause. It must reach nothing but the log.
func (e *Error) Unwrap() error { return e.cause }

// Because returns a copy that carries the private cause.
func (e *Error) Because(err error) *Error {
	c := *e
	c.cause = err
	return &c
}

// On returns a copy that names the resource concerned.
func (e *Error) On(kind string, id int64) *Error {
	c := *e
	c.ResourceType, c.ResourceID = kind, id
	return &c
}

// After returns a copy that tells the caller when to come again.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Invalid makes the 400 for a request with one or more details, so that all
// that is wrong is said at once. It returns nil for no details. One detail
// lends the answer its sentence.
func Invalid(details []Detail) error {
	if len(details) == 0 {
		return nil
	}
	message := details[0].Message
	if len(details) > 1 {
		message = "The request has several errors; each is listed in details."
	}
	return &Error{Code: CodeInvalidRequest, Message: message, Details: details}
}

// Is reports whether err is, or wraps, a fault of this code.
func Is(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// Kind makes an error to be told apart with errors.Is. Text is for the log; an error
// of the kind that nothing turns into another fault is shown as shown.
func Kind(text string, shown *Error) error { return &kind{text, shown} }

type kind struct {
	text  string
	shown *Error
}

func (k *kind) Error() string { return k.text }
func (k *kind) Unwrap() error { return k.shown }
