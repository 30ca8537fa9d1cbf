package mysql_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// result is a result of texts, as many in each row.
func result(rows ...[]string) []string { return answer("", rows) }

// prepared is what a statement with so many names is prepared to, and
// executed its result.
func prepared(names, columns int) []string {
	packets := []string{"\x00\x01\x00\x00\x00" + string([]byte{byte(columns), 0, byte(names), 0, 0, 0, 0})}
	for _, n := range []int{names, columns} {
		for range n {
			packets = append(packets, field)
		}
		packets = append(packets, eof)
	}
	return packets
}

func executed(rows ...[]string) []string {
	return answer("\x00"+strings.Repeat("\x00", (len(rows[0])+7+2)/8), rows)
}

const field = "\x03def\x00\x00\x00\x01x\x00\x0c\x2d\x00\x04\x00\x00\x00\xfd\x00\x00\x00\x00\x00"

func answer(prefix string, rows [][]string) []string {
	packets := append([]string{string(rune(len(rows[0])))}, slices.Repeat([]string{field}, len(rows[0]))...)
	packets = append(packets, eof)
	for _, row := range rows {
		packets = append(packets, prefix+packed(row))
	}
	return append(packets, eof)
}

func packed(row []string) (packet string) {
	for _, value := range row {
		packet += "\xfc" + string(binary.LittleEndian.AppendUint16(nil, uint16(len(value)))) + value
	}
	return packet
}

// asked is a server that lets everybody in and answers each question by the
// next of its answers; after the last it says or does what then does.
func asked(then func(context.Context, net.Conn), answers ...[]string) func(context.Context, net.Conn) {
	before := append([][]string{{ok}, text("app@%"), {ok}, {ok}, {ok}}, answers...)
	return func(ctx context.Context, c net.Conn) {
		if send(c, 0, greet("8.0.36", "mysql_native_password", plainCan)) != nil {
			return
		}
		for _, packets := range before {
			number, _, err := receive(c)
			if err != nil || send(c, number+1, packets...) != nil {
				return
			}
		}
		if _, _, err := receive(c); err == nil {
			then(ctx, c)
		}
	}
}

// endless says a row over and over. Nobody looks at the numbers of the packets
// but the driver, so they count on.
func endless(row ...string) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, c) }()
		head := answer("", [][]string{row})
		head = head[:len(head)-2]
		if send(c, 1, head...) != nil {
			return
		}
		for number := byte(1 + len(head)); ctx.Err() == nil; number++ {
			if send(c, number, packed(row)) != nil {
				return
			}
		}
	}
}

// last is the last answer.
func last(packets []string) func(context.Context, net.Conn) {
	return func(_ context.Context, c net.Conn) { _ = send(c, 1, packets...) }
}

func refuse(number uint16) func(context.Context, net.Conn) {
	return func(_ context.Context, c net.Conn) { _ = send(c, 1, failure(number)) }
}

// budgetOf is short for what ends with it. What ends at another limit takes
// what it takes.
func budgetOf(want probe.Code) time.Duration {
	if want == probe.CodeProbeTimeout {
		return time.Second
	}
	return probe.Budget
}

// What a server may answer to a look, and what is made of it.
func TestHostileLooks(t *testing.T) {
	const (
		away     = probe.CodeTargetUnavailable
		mismatch = probe.CodeProtocolMismatch
		timeout  = probe.CodeProbeTimeout
		reset    = probe.CodeTCPReset
	)
	ready, databases, tables := []string{ok}, result([]string{"sys"}, []string{probetest.Foreign}), result([]string{probetest.Foreign, "t"}, []string{"other", "t"})
	column := []string{probetest.Foreign, "t", probetest.Foreign, "int", "PRI", "x", "int", "1"}
	unknown := []string{failure(1193)}
	limitless := &script{
		hello: greet("8.0.36", "mysql_native_password", plainCan),
		steps: [][]string{ready, text("app@%"), unknown, unknown, unknown, ready, databases, tables, result(column)},
	}
	for name, r := range map[string]struct {
		serve     func(context.Context, net.Conn)
		want      probe.Code
		shown     string // the first lines
		truncated bool
	}{
		"a faithful one":                 {asked(last(result(column, []string{"other", "t", "c", "int", "", "", "int", "1"})), ready, databases, tables), probe.CodeOK, "F, F > t, F > t > F int, key, default x", false},
		"limits unknown there":           {limitless.serve, probe.CodeOK, "F, F > t, F > t > F int, key, default x", false},
		"closes at the databases":        {asked(probetest.CloseAtOnce, ready), reset, "", false},
		"closes at the begin":            {asked(probetest.CloseAtOnce), reset, "", false},
		"closes at the tables":           {asked(probetest.CloseAtOnce, ready, databases), reset, "", false},
		"closes at the columns":          {asked(probetest.CloseAtOnce, ready, databases, tables), reset, "", false},
		"hangs at the begin":             {asked(probetest.Hang), timeout, "", false},
		"hangs at the tables":            {asked(probetest.Hang, ready, databases), timeout, "", false},
		"drips":                          {asked(probetest.Drip("\x40\x00\x00\x01"+probetest.Foreign), ready), timeout, "", false},
		"never ends a packet":            {asked(probetest.Endless("\xff\xff\xff\x01", "x"), ready), mismatch, "", false},
		"databases without end":          {asked(endless(strings.Repeat("y", 900)), ready), probe.CodeOK, strings.Repeat("y", 900), true},
		"tables without end":             {asked(endless(probetest.Foreign, "t"), ready, databases), probe.CodeOK, "F, F > t", true},
		"rows of another width":          {asked(last(result([]string{"a", "b"})), ready), mismatch, "", false},
		"a row cut short":                {asked(last(append(result([]string{"a"})[:3], "\xfc\xff")), ready), mismatch, "", false},
		"asks for a file":                {asked(last([]string{"\xfb/etc/passwd"}), ready), mismatch, "", false},
		"refuses the begin":              {asked(refuse(1064)), away, "", false},
		"refuses the databases":          {asked(refuse(1142), ready), away, "", false},
		"refuses in a sign-in's number":  {asked(refuse(1045), ready, databases), away, "", false},
		"takes too long, says MySQL":     {asked(refuse(3024), ready, databases), timeout, "", false},
		"takes too long, says MariaDB":   {asked(refuse(1969), ready, databases), timeout, "", false},
		"a lock held against the tables": {asked(refuse(1205), ready, databases), away, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := probetest.Serve(t, r.serve)
			got, result := tree(t, budgetOf(r.want), at(s, settings{"sslmode": "disable"}), probe.Place{}, 3)
			lines := strings.ReplaceAll(strings.Join(probetest.Lines(got.Nodes), ", "), probetest.Foreign, "F")
			if result.Code != r.want || !strings.HasPrefix(lines, r.shown) || (lines == "") != (r.shown == "") || got.Truncated != r.truncated {
				t.Errorf("%s, truncated %v: %.200s; want %s, truncated %v: %.200s", result.Code, got.Truncated, lines, r.want, r.truncated, r.shown)
			}
			if n := s.Accepted.Load(); n != 1 {
				t.Errorf("%d connections for one sign-in", n)
			}
		})
	}
}

// The same of a sample: its rows are what a server that is not trusted says.
func TestHostileSamples(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("canary-file-71aa"), 0o600); err != nil {
		t.Fatal(err)
	}
	ready := []string{ok}
	row := func(name, kind string) []string { return []string{"app", "t", name, kind, "", "x", kind, "1"} }
	steps := [][]string{
		ready, ready, text("app"), prepared(2, 2), executed([]string{"app", "t"}), prepared(2, 8), executed(row("a", "int"), row("b", "blob")),
	}
	for name, r := range map[string]struct {
		then  func(context.Context, net.Conn)
		want  probe.Code
		rows  int
		first string
	}{
		"a faithful one":        {last(result([]string{"7", "\xff"})), probe.CodeOK, 1, "[7 ff]"},
		"words for a number":    {last(result([]string{probetest.Foreign, ""})), probe.CodeOK, 1, "[" + probetest.Foreign + " ]"},
		"wide rows without end": {endless(strings.Repeat("x", 60_000), ""), probe.CodeOK, 7, "[" + strings.Repeat("x", probe.MaxCellBytes) + " ]"},
		"rows without end":      {endless("7", "8"), probe.CodeOK, probe.MaxSampleRows, "[7 38]"},
		"rows of another width": {last(result([]string{"7"})), probe.CodeProtocolMismatch, 0, ""},
		"closes":                {probetest.CloseAtOnce, probe.CodeTCPReset, 0, ""},
		"hangs":                 {probetest.Hang, probe.CodeProbeTimeout, 0, ""},
		"asks for a file":       {last([]string{"\xfb" + file}), probe.CodeProtocolMismatch, 0, ""},
		"a refusal":             {refuse(1142), probe.WarnScopeMissing, 0, ""},
		"a sign-in's number":    {refuse(1045), probe.CodeTargetUnavailable, 0, ""},
		"shutting down":         {refuse(1053), probe.CodeTargetUnavailable, 0, ""},
		"it would change":       {refuse(1792), probe.CodeTargetUnavailable, 0, ""},
		"too long":              {refuse(3024), probe.CodeProbeTimeout, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := probetest.Serve(t, asked(r.then, steps...))
			got, result := sample(t, budgetOf(r.want), at(s, settings{"sslmode": "disable"}), probe.Place{Table: "t"})
			if result.Code != r.want || len(got.Rows) != r.rows || r.rows > 0 && fmt.Sprint(got.Rows[0]) != r.first {
				t.Errorf("%s, %d rows; want %s, %d rows: %.100v", result.Code, len(got.Rows), r.want, r.rows, got.Rows)
			}
		})
	}
}

// A server counts other names in a query than it was sent.
func TestPreparedOtherwise(t *testing.T) {
	for _, names := range []int{0, 1, 3} {
		s := probetest.Serve(t, asked(last(result([]string{"app", "t"})), []string{ok}, []string{ok}, text("app"), prepared(names, 2)))
		if _, r := sample(t, time.Second, at(s, settings{"sslmode": "disable"}), probe.Place{Table: "t"}); r.Code != probe.CodeProtocolMismatch {
			t.Errorf("%d names: %s", names, r.Code)
		}
	}
}

// A catalogue that compares loosely may find more than was asked for: the name
// itself counts, else one that differs in case.
func TestLooseCatalogue(t *testing.T) {
	for _, r := range []struct {
		found [][]string
		want  string
	}{
		{[][]string{{"app", "T"}, {"app", "t"}}, "app, app > t"},
		{[][]string{{"app", "t"}, {"app", "T"}}, "app, app > t"},
		{[][]string{{"app", "ť"}, {"App", "T"}}, "App, App > T"},
		{[][]string{{"app", "ť"}, {"other", "t"}, {"app", "t "}}, ""},
	} {
		s := probetest.Serve(t, asked(probetest.Hang, []string{ok}, []string{ok}, text("app"), prepared(2, 2), executed(r.found...)))
		got, result := tree(t, time.Second, at(s, settings{"sslmode": "disable"}), probe.Place{Table: "t"}, 2)
		lines := strings.Join(probetest.Lines(got.Nodes), ", ")
		if lines != r.want || (lines == "") != (result.Code == probe.WarnResourceNotFound) {
			t.Errorf("of %q: %s, %s; want %s", r.found, result.Code, lines, r.want)
		}
	}
}
