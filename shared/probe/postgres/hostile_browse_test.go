package postgres_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// asked is a server that lets everybody in who shows a password, then answers
// each question by the next of its answers, and after the last with hangUp.
type asked []func(ctx context.Context, c net.Conn, b *pgproto3.Backend)

func (answers asked) serve(ctx context.Context, c net.Conn) {
	b := pgproto3.NewBackend(c, c)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	b.Send(&pgproto3.AuthenticationCleartextPassword{})
	if b.Flush() != nil || b.SetAuthType(pgproto3.AuthTypeCleartextPassword) != nil {
		return
	}
	if _, err := b.Receive(); err != nil {
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	for _, answer := range answers {
		if b.Flush() != nil {
			return
		}
		for {
			m, err := b.Receive()
			if err != nil {
				return
			}
			_, simple := m.(*pgproto3.Query)
			if _, whole := m.(*pgproto3.Sync); simple || whole {
				break
			}
		}
		answer(ctx, c, b)
	}
	_ = b.Flush()
}

// begun answers the begin of a look.
func begun(_ context.Context, _ net.Conn, b *pgproto3.Backend) {
	b.Send(&pgproto3.CommandComplete{CommandTag: []byte("BEGIN")})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'T'})
}

// rows answers with rows of texts.
func rows(values ...[]string) func(context.Context, net.Conn, *pgproto3.Backend) {
	return func(_ context.Context, _ net.Conn, b *pgproto3.Backend) {
		head(b, len(values[0]))
		for _, row := range values {
			b.Send(dataRow(row))
		}
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'T'})
	}
}

func head(b *pgproto3.Backend, columns int) {
	b.Send(&pgproto3.ParseComplete{})
	b.Send(&pgproto3.BindComplete{})
	shape := &pgproto3.RowDescription{}
	for range columns {
		shape.Fields = append(shape.Fields, pgproto3.FieldDescription{Name: []byte("x")})
	}
	b.Send(shape)
}

func dataRow(row []string) *pgproto3.DataRow {
	m := &pgproto3.DataRow{}
	for _, value := range row {
		m.Values = append(m.Values, []byte(value))
	}
	return m
}

// unending answers with one row over and over.
func unending(row ...string) func(context.Context, net.Conn, *pgproto3.Backend) {
	return func(ctx context.Context, _ net.Conn, b *pgproto3.Backend) {
		head(b, len(row))
		for ctx.Err() == nil && b.Flush() == nil {
			for range 64 {
				b.Send(dataRow(row))
			}
		}
	}
}

// sent answers with what a server that misbehaves sends.
func sent(serve func(context.Context, net.Conn)) func(context.Context, net.Conn, *pgproto3.Backend) {
	return func(ctx context.Context, c net.Conn, _ *pgproto3.Backend) { serve(ctx, c) }
}

func failing(code string) func(context.Context, net.Conn, *pgproto3.Backend) {
	return func(_ context.Context, _ net.Conn, b *pgproto3.Backend) {
		b.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: code, Message: probetest.Foreign, Detail: probetest.Foreign})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'E'})
	}
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
		ok       = probe.CodeOK
		away     = probe.CodeTargetUnavailable
		mismatch = probe.CodeProtocolMismatch
		timeout  = probe.CodeProbeTimeout
		reset    = probe.CodeTCPReset
	)
	none, table := rows([]string{probetest.Foreign}), []string{"1", "s", probetest.Foreign, probetest.Foreign}
	column := []string{"1", probetest.Foreign, "int", "t", "x", "23"}
	drip := sent(probetest.Drip("D\x00\x00\x00\x40" + probetest.Foreign))
	for name, r := range map[string]struct {
		answers   asked
		want      probe.Code
		shown     string // the first lines
		truncated bool
	}{
		"a faithful one":              {asked{begun, none, rows(table), rows(column)}, ok, "app, app > F, app > F > F int, key, default x, F", true},
		"closes at the begin":         {asked{}, reset, "", false},
		"closes at the databases":     {asked{begun}, reset, "", false},
		"closes at the tables":        {asked{begun, none}, reset, "", false},
		"closes at the columns":       {asked{begun, none, rows(table)}, reset, "", false},
		"hangs at the begin":          {asked{sent(probetest.Hang)}, timeout, "", false},
		"hangs at the tables":         {asked{begun, none, sent(probetest.Hang)}, timeout, "", false},
		"drips":                       {asked{begun, drip}, timeout, "", false},
		"never ends a message":        {asked{begun, sent(probetest.Endless("D\x00\x00\xff\xff", "x"))}, mismatch, "", false},
		"a message beyond reason":     {asked{begun, sent(probetest.Endless("D\x00\x10\x00\x00", "x"))}, mismatch, "", false},
		"notices without end":         {asked{begun, sent(probetest.Endless("", "N\x00\x00\x00\x05\x00"))}, mismatch, "", false},
		"databases without end":       {asked{begun, unending(strings.Repeat("y", 900))}, ok, "app, " + strings.Repeat("y", 900), true},
		"tables without end":          {asked{begun, none, unending(table...), unending(column...)}, ok, "app, app > F, F", true},
		"columns without end":         {asked{begun, none, rows(table), unending(column...)}, mismatch, "", false},
		"rows of nothing without end": {asked{begun, unending()}, mismatch, "", false},
		"rows of another width":       {asked{begun, rows([]string{"a", "b"})}, mismatch, "", false},
		"a column of no table":        {asked{begun, none, rows(table), rows([]string{"2", "c", "int", "t", "x", "23"})}, mismatch, "", false},
		"a column of a word":          {asked{begun, none, rows(table), rows([]string{"x", "c", "int", "t", "x", "23"})}, mismatch, "", false},
		"bytes as names":              {asked{begun, rows([]string{"\xff\x00"})}, reset, "", false},
		"refuses the begin":           {asked{failing("42601")}, away, "", false},
		"refuses the databases":       {asked{begun, failing("42501")}, away, "", false},
		"refuses in a sign-in's code": {asked{begun, none, failing("28P01")}, away, "", false},
		"takes too long, it says":     {asked{begun, none, failing("57014")}, timeout, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := probetest.Serve(t, r.answers.serve)
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
	table := rows([]string{"1", "s", "t", "t", "t"})
	columns := rows([]string{"1", "a", "int", "t", "x", "23"}, []string{"1", "b", "bytea", "f", "x", "17"})
	for name, r := range map[string]struct {
		answer func(context.Context, net.Conn, *pgproto3.Backend)
		want   probe.Code
		rows   int
		first  string
	}{
		"a faithful one":        {rows([]string{"7", "\xff"}), probe.CodeOK, 1, "[7 ff]"},
		"words for a number":    {rows([]string{probetest.Foreign, ""}), probe.CodeOK, 1, "[" + probetest.Foreign + " ]"},
		"rows without end":      {unending("7", "8"), probe.CodeProtocolMismatch, 0, ""},
		"wide rows without end": {unending(strings.Repeat("x", 60_000), ""), probe.CodeOK, 7, "[" + strings.Repeat("x", probe.MaxCellBytes) + " ]"},
		"rows of another width": {rows([]string{"7"}), probe.CodeProtocolMismatch, 0, ""},
		"closes within a row":   {sent(probetest.Banner("T")), probe.CodeProbeTimeout, 0, ""},
		"a refusal":             {failing("42501"), probe.WarnScopeMissing, 0, ""},
		"a sign-in's code":      {failing("28P01"), probe.CodeTargetUnavailable, 0, ""},
		"a code that is none":   {failing(probetest.Foreign), probe.CodeTargetUnavailable, 0, ""},
		"shutting down":         {failing("57P01"), probe.CodeTargetUnavailable, 0, ""},
		"locked":                {failing("55P03"), probe.CodeTargetUnavailable, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := probetest.Serve(t, asked{begun, table, columns, r.answer}.serve)
			got, result := sample(t, budgetOf(r.want), at(s, settings{"sslmode": "disable"}), probe.Place{Table: "t"})
			if result.Code != r.want || len(got.Rows) != r.rows || r.rows > 0 && fmt.Sprint(got.Rows[0]) != r.first {
				t.Errorf("%s, %d rows; want %s, %d rows: %.100v", result.Code, len(got.Rows), r.want, r.rows, got.Rows)
			}
		})
	}
}

// A pooler that knows its databases says so before it looks at the password.
func TestPoolerWithoutTheDatabase(t *testing.T) {
	s := probetest.Serve(t, script{say(failure("3D000"))}.serve)
	_, r := tree(t, probe.Budget, at(s, settings{"sslmode": "disable"}), probe.Place{Database: "other"}, 1)
	if r.Code != probe.WarnResourceNotFound || r.Pointer != "/database" {
		t.Errorf("%s at %q", r.Code, r.Pointer)
	}
	_, r = tree(t, probe.Budget, at(s, settings{"sslmode": "disable"}), probe.Place{}, 1)
	if r.Code != probe.CodeSecretNotTested || r.Pointer != "/credentials/database_name" {
		t.Errorf("%s at %q", r.Code, r.Pointer)
	}
}

// Of what would end a text early nothing is sent, and nothing is dialled.
func TestNamesThatEndEarly(t *testing.T) {
	s := probetest.Serve(t, func(_ context.Context, c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for _, name := range []string{"app\x00user\x00postgres", "\x00", "a\xff"} {
		_, r := tree(t, time.Second, at(s, settings{"sslmode": "disable"}), probe.Place{Database: name}, 1)
		if r.Code != probe.WarnResourceNotFound || r.Pointer != "/database" {
			t.Errorf("%q: %s at %q", name, r.Code, r.Pointer)
		}
	}
	if n := s.Accepted.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
}
