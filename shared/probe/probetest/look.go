package probetest

import (
	"testing"

	"credence/shared/probe"
)

// SoundLook checks what holds of the result of every look, as Sound does for
// probes: what is not there, or may not be looked at, is no verdict, and the
// field of the request that named it may be at fault.
func SoundLook(t testing.TB, r probe.Result, forbidden ...string) {
	t.Helper()
	switch r.Code {
	case probe.WarnResourceNotFound, probe.WarnScopeMissing:
		if r.Verdict != probe.Unknown || r.Stop || r.Retryable || r.Pointer == "" {
			t.Errorf("%s: verdict %s, stop %v, retryable %v, pointer %q", r.Code, r.Verdict, r.Stop, r.Retryable, r.Pointer)
		}
		r.Code, r.Retryable = probe.CodeTargetUnavailable, true // in all else such a one
	}
	switch r.Pointer {
	case "/" + probe.AskedPath, "/" + probe.AskedDatabase, "/" + probe.AskedTable:
		r.Pointer = ""
	}
	Sound(t, r, forbidden...)
}
