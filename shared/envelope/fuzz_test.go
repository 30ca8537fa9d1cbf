package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

const seedFolder = "testdata/fuzz/FuzzOpen"

// FuzzOpen: with the true data key at hand, nothing opens but the golden record
// itself under its own binding, and nothing panics.
func FuzzOpen(f *testing.F) {
	records := readGolden(f)
	for i, g := range records {
		f.Add(uint16(i), g.Encrypted, g.Org, g.Cred, g.SV, g.Type)
	}
	f.Fuzz(func(t *testing.T, index uint16, ciphertext []byte, org, cred, sv int64, kind string) {
		g := records[int(index)%len(records)]
		b := Binding{Org: org, Credential: cred, Version: sv, Type: kind}
		v, err := Open(t.Context(), g.holder(t), b, Record{Ciphertext: ciphertext})
		genuine := b == g.binding() && bytes.Equal(ciphertext, g.Encrypted)
		switch {
		case (err == nil) != genuine:
			t.Fatalf("error %v for a record that is genuine: %t", err, genuine)
		case err != nil && (!errors.Is(err, ErrOpen) || v.Len() != 0):
			t.Fatalf("error %v with %d bytes", err, v.Len())
		case genuine && !bytes.Equal(v.Expose(), g.plaintext()):
			t.Fatal("another plaintext")
		}
	})
}

// writeSeeds makes seeds that reach behind each check.
func writeSeeds(t *testing.T) {
	t.Helper()
	records := readGolden(t)
	seed := func(name string, index int, change func(g *golden)) {
		g := records[index]
		g.Encrypted = bytes.Clone(g.Encrypted)
		change(&g)
		text := fmt.Sprintf("go test fuzz v1\nuint16(%d)\n[]byte(%q)\nint64(%d)\nint64(%d)\nint64(%d)\nstring(%q)\n", index, g.Encrypted, g.Org, g.Cred, g.SV, g.Type)
		if err := os.WriteFile(filepath.Join(seedFolder, name), []byte(text), 0o644); err != nil {
			t.Fatalf("writing a seed: %v", err)
		}
	}
	if err := os.MkdirAll(seedFolder, 0o755); err != nil {
		t.Fatalf("making the folder of seeds: %v", err)
	}
	seed("genuine", 0, func(*golden) {})
	seed("genuine-long", 38, func(*golden) {})
	seed("empty", 1, func(g *golden) { g.Encrypted = nil })
	seed("header-only", 2, func(g *golden) { g.Encrypted = g.Encrypted[:headerSize] })
	seed("no-tag", 3, func(g *golden) { g.Encrypted = g.Encrypted[:len(g.Encrypted)-tagSize] })
	seed("block-more", 4, func(g *golden) { g.Encrypted = append(g.Encrypted, make([]byte, padBlock)...) })
	seed("format-2", 5, func(g *golden) { g.Encrypted[2] = 2 })
	seed("algorithm-2", 6, func(g *golden) { g.Encrypted[3] = 2 })
	seed("salt", 7, func(g *golden) { g.Encrypted[saltAt] ^= 1 })
	seed("commitment", 8, func(g *golden) { g.Encrypted[commitAt] ^= 1 })
	seed("nonce", 9, func(g *golden) { g.Encrypted[headerSize] ^= 1 })
	seed("tag", 10, func(g *golden) { g.Encrypted[len(g.Encrypted)-1] ^= 1 })
	seed("other-org", 11, func(g *golden) { g.Org++ })
	seed("other-type", 12, func(g *golden) { g.Type += "x" })
	seed("no-binding", 13, func(g *golden) { g.Org, g.Cred, g.SV, g.Type = 0, 0, 0, "" })
	seed("other-record", 14, func(g *golden) { g.Encrypted = records[15].Encrypted })
}

// TestFuzzSeeds fails when the seeds have moved: a fuzz target without any passes
// and tests nothing.
func TestFuzzSeeds(t *testing.T) {
	seeds, err := filepath.Glob(seedFolder + "/*")
	if err != nil || len(seeds) < 16 {
		t.Fatalf("%d seeds in %s, want at least 16: %v", len(seeds), seedFolder, err)
	}
	genuine, err := os.ReadFile(filepath.Join(seedFolder, "genuine"))
	if err != nil {
		t.Fatalf("reading a seed: %v", err)
	}
	if !bytes.Contains(genuine, fmt.Appendf(nil, "%q", readGolden(t)[0].Encrypted)) {
		t.Error("the genuine seed is not the first golden record; run the tests with -update")
	}
}
