package database_test

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"credence/shared/probe"
	"credence/shared/probe/database"
	"credence/shared/probe/probetest"
)

// What does not fit is left out from below, and told.
func TestOutline(t *testing.T) {
	var o database.Outline
	long, value := strings.Repeat("é", 600), "now()"
	o.Database("a")
	o.Database("b")
	o.Table("b", "t")
	o.Table("a", "t")
	o.Table("of none", "t")
	o.Column("b", "t", probe.Column{Name: "k", Type: "int", PrimaryKey: true, Default: &value})
	o.Column("b", "of none", probe.Column{Name: "k"})
	want := "a, a > t, b, b > t, b > t > k int, key, default now()"
	if got := strings.Join(probetest.Lines(o.Tree().Nodes), ", "); got != want || o.Truncated || o.Room() != probe.MaxNodes-5 {
		t.Errorf("%s, truncated %v, room for %d; want %s", got, o.Truncated, o.Room(), want)
	}
	for name, add := range map[string]func(o *database.Outline) bool{
		"a database twice": func(o *database.Outline) bool { return o.Database("a") },
		"a table twice":    func(o *database.Outline) bool { return o.Table("a", "t") },
		"a long name":      func(o *database.Outline) bool { return o.Table("a", long) },
		"a long type":      func(o *database.Outline) bool { return o.Column("a", "t", probe.Column{Type: long}) },
		"a long default":   func(o *database.Outline) bool { return o.Column("a", "t", probe.Column{Default: &long}) },
	} {
		var o database.Outline
		o.Database("a")
		o.Table("a", "t")
		if o.Truncated || !add(&o) || !o.Tree().Truncated {
			t.Errorf("%s: truncated %v", name, o.Truncated)
		}
		for _, line := range probetest.Lines(o.Tree().Nodes) {
			if len(line) > database.MaxText+32 || !utf8.ValidString(line) {
				t.Errorf("%s: %d bytes, valid %v", name, len(line), utf8.ValidString(line))
			}
		}
	}
	for i := range probe.MaxNodes - 5 {
		if !o.Column("a", "t", probe.Column{Name: strconv.Itoa(i)}) {
			t.Fatalf("no room for column %d", i)
		}
	}
	if o.Truncated || o.Column("a", "t", probe.Column{}) || o.Table("a", "u") || o.Database("c") || !o.Tree().Truncated {
		t.Errorf("full: truncated %v", o.Truncated)
	}
	if n := len(probetest.Lines(o.Tree().Nodes)); n != probe.MaxNodes {
		t.Errorf("%d nodes", n)
	}
}

// However many columns there are, a row fits into a message, and every number
// that a server knows is shown whole.
func TestExcerptFits(t *testing.T) {
	for columns := range 700 {
		var e database.Excerpt
		for i := range columns {
			if e.Column(database.Selected{Name: strconv.Itoa(i), Kind: database.Kind(i % 5)}) != (i < 500) {
				t.Fatalf("column %d of %d", i, columns)
			}
		}
		row := 0
		for _, c := range e.Columns() {
			asked := e.Bytes(c.Kind)
			if row += 5 + asked; asked < 50 {
				t.Errorf("of %d columns, %d bytes each", columns, asked)
			}
		}
		if row > 60<<10 || e.Truncated != (columns > 500) {
			t.Errorf("of %d columns, %d bytes a row, truncated %v", columns, row, e.Truncated)
		}
	}
}

// Whatever a server says a value is, what is shown fits, is text that can be
// sent or a number that says the same, and is whole or said to be cut.
func FuzzExcerpt(f *testing.F) {
	for _, seed := range []string{
		"", "7", "-0", "007", "+7", "9007199254740991", "9007199254740992", "-9007199254740992", "1e3", "0x1p-2", "1_000", "NaN", "-inf", "Infinity", "1e999", "true", "TRUE",
		"ünï😀", "\xff", "a\x00b", strings.Repeat("x", 1024), strings.Repeat("x", 1025), strings.Repeat("€", 342), strings.Repeat("\x80", 1025), strings.Repeat("9", 1025),
	} {
		for kind := range 5 {
			f.Add([]byte(seed), byte(kind), uint16(1))
			f.Add([]byte(seed), byte(kind), uint16(400))
		}
	}
	f.Fuzz(func(t *testing.T, value []byte, kind byte, columns uint16) {
		k := database.Kind(kind % 5)
		var e database.Excerpt
		row := make([][]byte, max(1, int(columns%600)))
		for range row {
			e.Column(database.Selected{Kind: k})
		}
		row = row[:len(e.Columns())]
		row[0] = value[:min(len(value), e.Bytes(k))] // the server cuts it
		if row[0] == nil {
			row[0] = []byte{}
		}
		e.Truncated = false // of columns
		e.Row(row)
		s := e.Sample()
		cut := len(row[0]) == e.Bytes(k)
		if s.Truncated != cut || len(row) > 1 && s.Rows[0][1] != nil {
			t.Errorf("truncated %v, cut %v", s.Truncated, cut)
		}
		switch shown := s.Rows[0][0].(type) {
		case string:
			switch {
			case len(shown) > probe.MaxCellBytes || k == database.Binary && (len(shown) > 2*(e.Bytes(k)-1) || strings.Trim(shown, "0123456789abcdef") != ""):
				t.Errorf("%d bytes are shown", len(shown))
			case utf8.Valid(value) && !utf8.ValidString(shown):
				t.Errorf("%q is no text any more", shown)
			case k == database.Binary && !cut && shown != hex.EncodeToString(value), k != database.Binary && !cut && shown != string(row[0]):
				t.Errorf("%q is shown as %q", row[0], shown)
			}
		case bool:
			if k != database.Bool || strconv.FormatBool(shown) != string(value) {
				t.Errorf("%q is shown as %v", value, shown)
			}
		case int64:
			if n, err := strconv.ParseInt(string(row[0]), 10, 64); k != database.Integer || err != nil || n != shown || n >= 1<<53 || n <= -1<<53 {
				t.Errorf("%q is shown as %d", value, shown)
			}
		case float64:
			if n, err := strconv.ParseFloat(string(row[0]), 64); k != database.Float || err != nil || n != shown || shown-shown != 0 {
				t.Errorf("%q is shown as %v", value, shown)
			}
		default:
			t.Errorf("%q is shown as %T", value, shown)
		}
	})
}

func TestMeter(t *testing.T) {
	var m database.Meter
	rows := 0
	for row := [][]byte{make([]byte, 1000), nil}; m.Take(row); rows++ {
	}
	if rows < 400 || rows > database.MaxRead/1000 {
		t.Errorf("%d rows of 1000 bytes", rows)
	}
	m, rows = 0, 0
	for m.Take(nil) && rows < 1<<20 {
		rows++
	}
	if rows == 1<<20 {
		t.Error("an endless list of nothing never ends")
	}
}

// A server ends a statement before the look ends.
func TestPatience(t *testing.T) {
	for _, left := range []time.Duration{-time.Second, 0, time.Second, 7 * time.Second} {
		ctx, cancel := context.WithTimeout(t.Context(), left)
		statement, lock := database.Patience(ctx)
		cancel()
		if statement < time.Millisecond || statement > max(left, time.Millisecond) || lock < time.Millisecond || lock > statement || left > 0 && statement < left/2 {
			t.Errorf("of %v, %v a statement, %v a lock", left, statement, lock)
		}
	}
}

func TestNamed(t *testing.T) {
	for name, want := range map[string]bool{"": false, "a": true, "a b'\"`.\n": true, "ü😀": true, "a\x00": false, "\x00": false, "a\xff": false} {
		if got := database.Named(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
