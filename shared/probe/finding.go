package probe

import (
	"fmt"
	"slices"
)

// sentence is text written in our own source. The type has no name outside
// this package, so a caller can pass an untyped constant and nothing else: the
// words of a server or a driver do not compile.
type sentence string

// Field is the canonical name of a setting, for pointers.
type Field string

// Finding is what a prober concludes, and the error of a stage that failed.
// The zero Finding is no conclusion: it becomes PROBE_INTERNAL. Make it with
// Found.
type Finding struct {
	Code    Code
	message string
	field   Field
	asked   string // the field of a request that names a place, instead
	status  int
	alpn    bool // the server speaks none of the protocols offered in TLS
}

// OffersOtherProtocol reports whether the TLS handshake failed because the
// server speaks none of the application protocols offered (RFC 7301 §3.2).
func (f Finding) OffersOtherProtocol() bool { return f.alpn }

// Found concludes a code in words that tell a person what to do; "" leaves the
// code's own. Each %d of the message takes one of the numbers.
func Found(code Code, message sentence, numbers ...int) Finding {
	values := make([]any, len(numbers))
	for i, n := range numbers {
		values[i] = n
	}
	f := Finding{Code: code, message: string(message)}
	if len(values) > 0 {
		f.message = fmt.Sprintf(f.message, values...)
	}
	return f
}

// At names the field to change.
func (f Finding) At(field Field) Finding {
	f.field = field
	return f
}

// or names the field to change where none is named yet.
func (f Finding) or(field Field) Finding {
	if f.field == "" {
		f.field = field
	}
	return f
}

// About reports whether the finding names one of the fields.
func (f Finding) About(fields ...Field) bool { return slices.Contains(fields, f.field) }

// Answered keeps the status with which an HTTP target refused the secret, for
// the status of the result.
func (f Finding) Answered(status int) Finding {
	f.status = status
	return f
}

// Hint appends a sentence to the message, for what else may be the cause.
func (f Finding) Hint(more sentence) Finding {
	if more != "" {
		f.message = f.text() + " " + string(more)
	}
	return f
}

// Error is the code alone.
func (f Finding) Error() string { return "probing: " + string(f.Code) }

// text is the message, or the code's own.
func (f Finding) text() string {
	if f.message != "" {
		return f.message
	}
	if r, ok := f.Code.rule(); ok {
		return string(r.message)
	}
	return string(warnings[f.Code])
}

// wireStatus maps a finding to the status of its result: the target's own 4xx
// where it refused, but never one that our clients act on themselves (401
// renews their session, 407 is a proxy's, 408, 425 and 429 are retried).
func (f Finding) wireStatus() int {
	switch f.Code.Verdict() {
	case Valid:
		return 200
	case Unknown:
		return 400
	}
	switch s := f.status; {
	case s == 401, s == 407, s == 408, s == 425, s == 429, s < 400, s > 499:
		return 403
	default:
		return s
	}
}

// pointer is the RFC 6901 pointer of what to change; "" for none.
func (f Finding) pointer(s Settings) string {
	if f.asked != "" {
		return "/" + f.asked
	}
	return f.field.pointer(s)
}

// pointer is the field's RFC 6901 pointer into the request, by the name that
// was sent; "" for none.
func (f Field) pointer(s Settings) string {
	if f == "" {
		return ""
	}
	name := string(f)
	if s, ok := s.(sender); ok {
		name = s.SentAs(name)
	}
	return "/credentials/" + name
}
