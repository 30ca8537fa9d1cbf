package envelope_test

import (
	"errors"
	"fmt"
	"testing"

	"credence/shared/envelope"
	"credence/shared/envelope/kmstest"
)

func asOpenError(err error) *envelope.OpenError {
	var e *envelope.OpenError
	if !errors.As(err, &e) || !errors.Is(err, envelope.ErrOpen) {
		return nil
	}
	return e
}

// The key service is in memory: what it adds is its own AES-GCM, about a
// microsecond, and no network.
func BenchmarkSeal(b *testing.B) {
	c := kmstest.New("mrk-1").Caller(kmstest.Everything, "mrk-1")
	for _, n := range []int{200, 4 << 10, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			plaintext := make([]byte, n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := envelope.Seal(b.Context(), c, bound, plaintext); err != nil {
					b.Fatalf("sealing: %v", err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	c := kmstest.New("mrk-1").Caller(kmstest.Everything, "mrk-1")
	for _, n := range []int{200, 4 << 10, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r, err := envelope.Seal(b.Context(), c, bound, make([]byte, n))
			if err != nil {
				b.Fatalf("sealing: %v", err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := envelope.Open(b.Context(), c, bound, r); err != nil {
					b.Fatalf("opening: %v", err)
				}
			}
		})
	}
}

var bound = envelope.Binding{Org: 101, Credential: 5008, Version: 3, Type: "postgres"}
