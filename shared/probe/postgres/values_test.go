package postgres_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"credence/shared/probe"
)

// every is a column of each kind, and what of its value is shown.
var every = []struct {
	column, value string
	want          any
}{
	{"a boolean", "true", true},
	{"b bool", "false", false},
	{"c smallint", "-32768", int64(math.MinInt16)},
	{"d integer", "7", int64(7)},
	{"e bigint", "9007199254740991", int64(1<<53 - 1)},
	{"f bigint", "9007199254740992", "9007199254740992"},
	{"g bigint", "-9223372036854775808", "-9223372036854775808"},
	{"h real", "0.1", 0.1},
	{"i double precision", "0.30000000000000004", 0.30000000000000004},
	{"j double precision", "-1e300", -1e300},
	{"k double precision", "'NaN'", "NaN"},
	{"l real", "'-Infinity'", "-Infinity"},
	{"m numeric(20,4)", "12.5", "12.5000"},
	{"n numeric", "1e60", "1" + strings.Repeat("0", 60)},
	{"o text", `'it''s "ünï" 😀'`, `it's "ünï" 😀`},
	{"p text", "''", ""},
	{"q text", "NULL", nil},
	{"r boolean", "NULL", nil},
	{"s char(5)", "'ab'", "ab"},
	{"t json", `'{"b": 1, "a": [true, null]}'`, `{"b": 1, "a": [true, null]}`},
	{"u jsonb", `'{"b": 1, "a": 2}'`, `{"a": 2, "b": 1}`},
	{"v bytea", `'\x00ff41'`, "00ff41"},
	{"w bytea", "''", ""},
	{"x timestamptz", "'2031-05-06 07:08:09.5+02'", "2031-05-06 05:08:09.5+00"},
	{"y timestamp", "'2031-05-06 07:08:09'", "2031-05-06 07:08:09"},
	{"z date", "'2031-05-06'", "2031-05-06"},
	{"aa time", "'07:08:09'", "07:08:09"},
	{"ab interval", "'1 day 2 hours'", "1 day 02:00:00"},
	{"ac uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
	{"ad int[]", "'{1,2}'", "{1,2}"},
	{"ae mood", "'happy'", "happy"},
	{"af small", "3", int64(3)},
	{"ag pair", "'(1,x)'", "(1,x)"},
	{"ah inet", "'10.0.0.1'", "10.0.0.1/32"},
	{"ai int4range", "'[1,5)'", "[1,5)"},
	{"aj text", `E'tab\there\nline'`, "tab\there\nline"},
	{"ak bit(3)", "B'101'", "101"},
	{"al timestamptz", "'infinity'", "infinity"},
	{"am oid", "4294967295", int64(math.MaxUint32)},
}

// Values are of the kinds that JSON has where they fit, and else text, whatever
// the role's settings say of their form.
func values(t *testing.T, s *server, good settings) {
	var columns, list []string
	for _, c := range every {
		columns, list = append(columns, c.column), append(list, c.value)
	}
	s.sql(t, `ALTER ROLE looker SET datestyle = 'German'; ALTER ROLE looker SET timezone = 'Asia/Tokyo'; ALTER ROLE looker SET bytea_output = 'escape';
ALTER ROLE looker SET intervalstyle = 'iso_8601'; ALTER ROLE looker SET extra_float_digits = -15; ALTER ROLE looker SET client_encoding = 'LATIN1';
ALTER ROLE looker SET default_transaction_isolation = 'serializable'; ALTER ROLE looker SET search_path = nowhere, trap, pg_catalog;
\connect look
CREATE TYPE mood AS ENUM ('happy'); CREATE DOMAIN small AS int CHECK (value < 10); CREATE TYPE pair AS (a int, b text);
CREATE SCHEMA trap; GRANT USAGE ON SCHEMA trap TO looker;
CREATE FUNCTION trap."left"(text, integer) RETURNS text LANGUAGE sql AS $$ SELECT 'trapped' $$;
CREATE FUNCTION trap.substr(bytea, integer, integer) RETURNS bytea LANGUAGE sql AS $$ SELECT 'trapped'::bytea $$;
CREATE FUNCTION trap.same(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION trap.same(name, name) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION trap.same(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.same);
CREATE OPERATOR trap.= (LEFTARG = name, RIGHTARG = name, FUNCTION = trap.same);
CREATE OPERATOR trap.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = trap.same);
CREATE DOMAIN trap.text AS integer;
CREATE FUNCTION trap.warned() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..20000 LOOP RAISE WARNING '%', repeat('x', 100); END LOOP; RETURN own(); END $$;
CREATE FUNCTION trap.own() RETURNS integer LANGUAGE sql AS 'SELECT 7';
CREATE VIEW warned AS SELECT trap.warned(); GRANT SELECT ON warned TO looker;
CREATE TABLE every (`+strings.Join(columns, ", ")+`); INSERT INTO every VALUES (`+strings.Join(list, ", ")+`); GRANT SELECT ON every TO looker;`)
	got, r := sample(t, probe.Budget, good, probe.Place{Table: "every"})
	if r.Code != probe.CodeOK || got.Truncated || len(got.Rows) != 1 || len(got.Rows[0]) != len(every) {
		t.Fatalf("%s, truncated %v, %d rows", r.Code, got.Truncated, len(got.Rows))
	}
	for i, c := range every {
		if !reflect.DeepEqual(got.Rows[0][i], c.want) {
			t.Errorf("%s: %#v, want %#v", c.column, got.Rows[0][i], c.want)
		}
	}
	seen{probe.Place{Database: "look", Table: "a b.c"}, 2, []string{"look", "look > a b.c"}, probe.CodeOK, "", false}.check(t, good)
	if got, r := sample(t, probe.Budget, good, probe.Place{Table: "warned"}); r.Code != probe.CodeOK || len(got.Rows) != 1 || got.Rows[0][0] != int64(7) {
		t.Errorf("a view that warns and looks names up: %s, %v", r.Code, got.Rows)
	}
	s.sql(t, "ALTER ROLE looker RESET ALL; ALTER ROLE looker VALID UNTIL '2031-05-06 07:08:09+00'; ALTER ROLE looker IN DATABASE look SET search_path = trap, pg_catalog")
	if r := run(t, good); r.Code != probe.CodeOK || r.Facts["expires_at"] != "2031-05-06T07:08:09Z" {
		t.Errorf("a probe with operators of others: %s, %v", r.Code, r.Facts)
	}
	s.sql(t, "ALTER ROLE looker IN DATABASE look RESET ALL; ALTER ROLE looker VALID UNTIL 'infinity'")
}

// Texts arrive as UTF-8, however the database keeps them.
func encodings(t *testing.T, s *server, good settings) {
	s.sql(t, `\connect latin
SET client_encoding = 'UTF8';
CREATE TABLE "Größe" ("Maß" text DEFAULT 'groß'); INSERT INTO "Größe" VALUES ('schön'), (repeat('ß', 5000)); GRANT SELECT ON "Größe" TO looker;
\connect bytes
SET client_encoding = 'SQL_ASCII';
CREATE TABLE raw (t text); INSERT INTO raw VALUES (convert_from('\x61e962', 'SQL_ASCII')), ('ü'); GRANT SELECT ON raw TO looker;`)
	seen{probe.Place{Database: "latin"}, 3, []string{"latin", "latin > Größe", "latin > Größe > Maß text, default 'groß'::text"}, probe.CodeOK, "", false}.check(t, good)
	got, r := sample(t, probe.Budget, good, probe.Place{Database: "latin", Table: "Größe"})
	if want := [][]any{{"schön"}, {strings.Repeat("ß", probe.MaxCellBytes/2)}}; r.Code != probe.CodeOK || !reflect.DeepEqual(got.Rows, want) || !slices.Equal(got.Columns, []string{"Maß"}) || !got.Truncated {
		t.Errorf("%s, truncated %v: %q %q", r.Code, got.Truncated, got.Columns, got.Rows)
	}
	got, r = sample(t, probe.Budget, good, probe.Place{Database: "bytes", Table: "raw"})
	if want := [][]any{{"a\uFFFDb"}, {"ü"}}; r.Code != probe.CodeOK || !reflect.DeepEqual(got.Rows, want) {
		t.Errorf("%s: %q", r.Code, got.Rows)
	}
}

// patience is the budget for much data: on a machine that does other work, too, it
// takes longer than a probe has.
const patience = 6 * probe.Budget

// What is large is cut, and said to be.
func limits(t *testing.T, s *server, good settings) {
	s.sql(t, `\connect look
CREATE TABLE huge (a text, b text, c bytea, d jsonb);
INSERT INTO huge SELECT repeat('x', 5000000), repeat('€', 2000000), decode(repeat('ab', 3000000), 'hex'), jsonb_build_object('k', repeat('y', 3000000)) FROM generate_series(1, 30);
CREATE TABLE fits (a text, b text, c bytea);
INSERT INTO fits VALUES (repeat('x', 1024), repeat('€', 341), decode(repeat('ab', 512), 'hex'));
CREATE TABLE broad (a text, b text, c bytea);
DO $$ DECLARE columns text; BEGIN
 SELECT string_agg('c' || i || ' bigint DEFAULT -9223372036854775808', ', ') INTO columns FROM generate_series(1, 600) i; EXECUTE 'CREATE TABLE broader (' || columns || ')';
 SELECT string_agg(format('c%s text DEFAULT repeat(''w'', 900)', i), ', ') INTO columns FROM generate_series(1, 300) i; EXECUTE 'CREATE TABLE wordy (' || columns || ')';
 FOR i IN 1..300 LOOP EXECUTE format('ALTER TABLE wordy ALTER c%s SET STORAGE MAIN', i); END LOOP;
 FOR i IN 1..25 LOOP INSERT INTO broader DEFAULT VALUES; INSERT INTO wordy DEFAULT VALUES; END LOOP;
 SELECT string_agg(format('%I int', 'c' || i || repeat('é', 27)), ', ') INTO columns FROM generate_series(1, 1400) i;
 FOR i IN 1..5 LOOP EXECUTE format('CREATE TABLE columns_%s (%s)', i, columns); END LOOP; END $$;
CREATE TABLE worded (x text DEFAULT '`+strings.Repeat("ö", 3000)+`');
GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker;
\connect wide
DO $$ BEGIN FOR i IN 1..5100 LOOP EXECUTE format('CREATE VIEW v%s AS SELECT 1 AS one', to_char(i, 'FM0000')); IF i % 50 = 0 THEN COMMIT; END IF; END LOOP; END $$;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;`)
	euro, hex := strings.Repeat("€", 341), strings.Repeat("ab", 512)
	got, r := sample(t, patience, good, probe.Place{Table: "huge"})
	if r.Code != probe.CodeOK || len(got.Rows) != 20 || !got.Truncated {
		t.Fatalf("%s, %d rows, truncated %v", r.Code, len(got.Rows), got.Truncated)
	}
	for _, row := range got.Rows {
		if row[0] != strings.Repeat("x", 1024) || row[1] != euro || row[2] != hex || row[3] != `{"k": "`+strings.Repeat("y", 1017) {
			t.Fatalf("%.40q …", row)
		}
	}
	shot{"fits", probe.CodeOK, []string{"a", "b", "c"}, [][]any{{strings.Repeat("x", 1024), euro, hex}}, false}.check(t, good)
	got, r = sample(t, patience, good, probe.Place{Table: "broader"}) // no number is cut
	if r.Code != probe.CodeOK || len(got.Columns) != 500 || len(got.Rows) != 20 || !got.Truncated || got.Rows[19][499] != "-9223372036854775808" {
		t.Errorf("of many columns: %s, %d columns, %d rows, truncated %v", r.Code, len(got.Columns), len(got.Rows), got.Truncated)
	}
	got, r = sample(t, patience, good, probe.Place{Table: "wordy"})
	if r.Code != probe.CodeOK || len(got.Columns) != 300 || len(got.Rows) < 7 || len(got.Rows) >= 20 || !got.Truncated || got.Rows[0][299] != strings.Repeat("w", 185) {
		t.Errorf("of wide columns: %s, %d columns, %d rows, truncated %v", r.Code, len(got.Columns), len(got.Rows), got.Truncated)
	}
	listed(t, good, probe.Place{Database: "look"}, 2, 1, 100)
	listed(t, good, probe.Place{Database: "look"}, 3, 4000, probe.MaxNodes)
	reader := good.with(settings{"username": "reader", "database_name": "wide"})
	listed(t, reader, probe.Place{}, 2, probe.MaxNodes, probe.MaxNodes)
	listed(t, reader, probe.Place{}, 3, probe.MaxNodes, probe.MaxNodes)
	shown, r := tree(t, patience, good, probe.Place{Table: "worded"}, 3)
	if r.Code != probe.CodeOK || !shown.Truncated || len(*shown.Nodes[0].Nodes[0].Columns[0].Default) < 1020 || !utf8.ValidString(*shown.Nodes[0].Nodes[0].Columns[0].Default) {
		t.Errorf("of a long default: %s, truncated %v", r.Code, shown.Truncated)
	}
}

// listed looks at a tree of which there are as many nodes, and more that are
// not shown if there are a thousand.
func listed(t *testing.T, s settings, at probe.Place, depth, least, most int) {
	t.Helper()
	got, r := tree(t, patience, s, at, depth)
	tables, columns := 0, 0
	for _, d := range got.Nodes {
		tables += len(d.Nodes)
		for _, table := range d.Nodes {
			columns += len(table.Columns)
		}
	}
	n := len(got.Nodes) + tables + columns
	if r.Code != probe.CodeOK || n < least || n > most || got.Truncated != (n > 1000) {
		t.Errorf("%+v, depth %d: %s, %d databases, %d tables, %d columns, truncated %v; want %d to %d", at, depth, r.Code, len(got.Nodes), tables, columns, got.Truncated, least, most)
	}
}
