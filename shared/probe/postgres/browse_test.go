package postgres_test

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// objects are what there is to look at.
const objects = `
CREATE ROLE looker LOGIN PASSWORD :'secret';
CREATE ROLE reader LOGIN PASSWORD :'secret';
CREATE ROLE hasty LOGIN PASSWORD :'secret' IN ROLE looker;
ALTER ROLE hasty SET statement_timeout = '300ms';
ALTER ROLE hasty SET role = 'looker';
CREATE DATABASE look;
CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0;
CREATE DATABASE bytes ENCODING 'SQL_ASCII' TEMPLATE template0;
CREATE DATABASE twins;
CREATE DATABASE wide;
REVOKE CONNECT ON DATABASE app, closed, postgres, "d'b ""x""", wide FROM PUBLIC;
GRANT CONNECT ON DATABASE wide TO reader, hasty;
CREATE DATABASE shut ALLOW_CONNECTIONS false;
\connect look
CREATE TABLE people (id int PRIMARY KEY, name varchar(40) NOT NULL DEFAULT 'nobody' UNIQUE, born timestamptz DEFAULT now(), twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO people (id, name, born) SELECT i, 'person ' || i, '2031-05-06 07:08:09+02' FROM generate_series(1, 20) i;
CREATE SCHEMA sales;
CREATE TABLE sales.orders (a int, b int, c text, PRIMARY KEY (b, a) INCLUDE (c));
INSERT INTO sales.orders VALUES (1, 2, 'three');
CREATE VIEW sales.named AS SELECT name FROM people ORDER BY id LIMIT 2;
CREATE TABLE hidden (x int);
CREATE SCHEMA closed;
CREATE TABLE closed.granted (x int);
CREATE TABLE partly (shown int, secret text);
INSERT INTO partly VALUES (7, 'canary-column');
CREATE VIEW numbers AS SELECT * FROM generate_series(1, 30) n;
CREATE MATERIALIZED VIEW fresh AS SELECT 1 AS one;
CREATE MATERIALIZED VIEW stale AS SELECT 1 AS one WITH NO DATA;
CREATE TABLE parted (k int) PARTITION BY LIST (k);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE FOREIGN DATA WRAPPER away;
CREATE SERVER away FOREIGN DATA WRAPPER away;
CREATE FOREIGN TABLE remote (x int) SERVER away;
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE log (what text);
CREATE SEQUENCE counter;
CREATE FUNCTION raises() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'FOREIGN-b7f31c' USING ERRCODE = '28P01'; END $$;
CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO log VALUES ('FOREIGN-b7f31c'); RETURN 1; END $$;
CREATE FUNCTION unlocks() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN SET transaction_read_only = off; INSERT INTO log VALUES ('x'); RETURN 1; END $$;
CREATE FUNCTION peeks() RETURNS int LANGUAGE sql AS 'SELECT x FROM hidden UNION SELECT 1';
CREATE VIEW raising AS SELECT raises() AS x;
CREATE VIEW writing AS SELECT writes() AS x;
CREATE VIEW unlocking AS SELECT unlocks() AS x;
CREATE VIEW counting AS SELECT nextval('counter') AS x;
CREATE VIEW peeking AS SELECT peeks() AS x;
CREATE VIEW sleeping AS SELECT 1 AS x FROM pg_sleep(60);
CREATE TABLE "a b.c" ("q""uote" int PRIMARY KEY, "x""; DROP TABLE people; --" text DEFAULT 'it''s', "new
line" text, "$1" int, "ünï" int);
INSERT INTO "a b.c" VALUES (1, 'two', 'three', 4, 5);
CREATE SCHEMA "s.x"";--";
CREATE TABLE "s.x"";--"."t'.y" (z int);
GRANT USAGE ON SCHEMA sales, "s.x"";--" TO looker;
GRANT SELECT ON ALL TABLES IN SCHEMA public, sales, closed, "s.x"";--" TO looker;
REVOKE SELECT ON hidden, partly, log FROM looker;
GRANT SELECT (shown) ON partly TO looker;
GRANT USAGE ON counter TO looker;
CREATE FUNCTION canary() RETURNS int LANGUAGE sql AS 'SELECT 1';
\connect twins
CREATE SCHEMA a; CREATE SCHEMA "a.b"; CREATE SCHEMA "a.d";
CREATE TABLE "a.b.c" (first int); CREATE TABLE a."b.c" (second int); CREATE TABLE "a.b".c (third int);
CREATE TABLE a."d.e" (fourth int); CREATE TABLE "a.d".e (fifth int);
GRANT USAGE ON SCHEMA a, "a.b", "a.d" TO looker;
GRANT SELECT ON ALL TABLES IN SCHEMA public, a, "a.b", "a.d" TO looker;
`

func tree(t testing.TB, budget time.Duration, s settings, at probe.Place, depth int) (probe.Tree, probe.Result) {
	t.Helper()
	r, checked := runner(t, budget, s)
	began := time.Now()
	got, result := r.Tree(t.Context(), "postgres", checked, at, depth)
	sound(t, result, time.Since(began), budget)
	return got, result
}

func sample(t testing.TB, budget time.Duration, s settings, at probe.Place) (probe.Sample, probe.Result) {
	t.Helper()
	r, checked := runner(t, budget, s)
	began := time.Now()
	got, result := r.Sample(t.Context(), "postgres", checked, at)
	sound(t, result, time.Since(began), budget)
	return got, result
}

func sound(t testing.TB, r probe.Result, took, budget time.Duration) {
	t.Helper()
	if took > budget+probetest.Slack {
		t.Errorf("the look took %v of %v", took, budget)
	}
	probetest.SoundLook(t, r, secret, "canary")
	if testing.Verbose() {
		t.Logf("%s %s: %s", r.Code, r.Pointer, r.Message)
	}
}

// seen is a tree and what it must be.
type seen struct {
	at        probe.Place
	depth     int
	want      []string // nil for what is not there
	code      probe.Code
	pointer   string
	truncated bool
}

func (r seen) check(t *testing.T, s settings) {
	t.Helper()
	got, result := tree(t, probe.Budget, s, r.at, r.depth)
	lines := probetest.Lines(got.Nodes)
	if result.Code != r.code || result.Pointer != r.pointer || !slices.Equal(lines, r.want) || got.Truncated != r.truncated {
		t.Errorf("%s at %q, truncated %v:\n%s\nwant %s at %q, truncated %v:\n%s",
			result.Code, result.Pointer, got.Truncated, strings.Join(lines, "\n"), r.code, r.pointer, r.truncated, strings.Join(r.want, "\n"))
	}
}

// What there is, and what there is not, to look at in a real server.
func TestBrowsePostgreSQL(t *testing.T) {
	ca := probetest.NewAuthority(t)
	s := start(t, ca.Issue(t, probetest.Leaf{}))
	s.sql(t, objects)
	good := settings{"host": "127.0.0.1", "port": s.port, "username": "looker", "password": secret, "database_name": "look", "tls.ca_certificate": ca.PEM}
	was := s.dump(t)
	t.Run("trees", func(t *testing.T) { trees(t, good) })
	t.Run("samples", func(t *testing.T) { samples(t, good) })
	t.Run("waiting", func(t *testing.T) { waiting(t, s, good) })
	t.Run("refused", func(t *testing.T) { refusals(t, good) })
	if s.dump(t) != was {
		t.Error("a look changed something on the server")
	}
	t.Run("values", func(t *testing.T) { values(t, s, good) })
	t.Run("encodings", func(t *testing.T) { encodings(t, s, good) })
	t.Run("limits", func(t *testing.T) { limits(t, s, good) })
}

// dump is all that is in the database that is looked at.
func (s *server) dump(t *testing.T) string {
	t.Helper()
	text := s.run(t, "", "pg_dump", "-h", s.folder, "-p", s.port, "-U", "postgres", "look")
	return regexp.MustCompile(`(?m)^\\(un)?restrict .*$`).ReplaceAllString(text, "") // another word each time
}

func trees(t *testing.T, good settings) {
	others := []string{"look", "bytes", "latin", "twins"}
	people := []string{
		"look", "look > people", "look > people > id integer, key", "look > people > name character varying(40), default 'nobody'::character varying",
		"look > people > born timestamp with time zone, default now()", "look > people > twice integer, default (id * 2)",
	}
	orders := []string{"look", "look > sales.orders", "look > sales.orders > a integer, key", "look > sales.orders > b integer, key", "look > sales.orders > c text"}
	odd := []string{"look", "look > a b.c", `look > a b.c > q"uote integer, key`, `look > a b.c > x"; DROP TABLE people; -- text, default 'it''s'::text`, "look > a b.c > new\nline text", "look > a b.c > $1 integer", "look > a b.c > ünï integer"}
	tables := []string{
		"look", "look > a b.c", "look > counting", "look > fresh", "look > nothing", "look > numbers", "look > parted", "look > parted_1", "look > partly", "look > peeking", "look > people",
		"look > raising", "look > remote", `look > s.x";--.t'.y`, "look > sales.named", "look > sales.orders", "look > sleeping", "look > stale", "look > unlocking", "look > writing",
	}
	const (
		ok      = probe.CodeOK
		missing = probe.WarnResourceNotFound
		denied  = probe.WarnScopeMissing
	)
	in := func(database, table string) probe.Place { return probe.Place{Database: database, Table: table} }
	none := probe.Place{}
	for name, r := range map[string]seen{
		"databases":                {none, 1, others, ok, "", false},
		"databases and tables":     {none, 2, append(slices.Clone(tables), others[1:]...), ok, "", true},
		"a database":               {in("look", ""), 1, []string{"look"}, ok, "", false},
		"tables":                   {in("look", ""), 2, tables, ok, "", false},
		"another database":         {in("twins", ""), 1, []string{"twins"}, ok, "", false},
		"of one name":              {in("twins", ""), 3, []string{"twins", "twins > a.b.c", "twins > a.b.c > first integer", "twins > a.d.e", "twins > a.d.e > fourth integer"}, ok, "", true},
		"the first of one name":    {in("twins", "a.b.c"), 3, []string{"twins", "twins > a.b.c", "twins > a.b.c > first integer"}, ok, "", false},
		"the first of two schemas": {in("twins", "a.d.e"), 3, []string{"twins", "twins > a.d.e", "twins > a.d.e > fourth integer"}, ok, "", false},
		"a table":                  {in("", "people"), 3, people, ok, "", false},
		"a table, deeper":          {in("look", "people"), 10, people, ok, "", false},
		"a table, no columns":      {in("", "people"), 2, people[:2], ok, "", false},
		"a table, its database":    {in("", "people"), 1, people[:1], ok, "", false},
		"a table with its schema":  {in("", "public.people"), 3, people, ok, "", false},
		"of another schema":        {in("", "sales.orders"), 3, orders, ok, "", false},
		"odd names":                {in("", "a b.c"), 3, odd, ok, "", false},
		"odd names, schema":        {in("", `s.x";--.t'.y`), 3, []string{"look", `look > s.x";--.t'.y`, `look > s.x";--.t'.y > z integer`}, ok, "", false},
		"columns that may be read": {in("", "partly"), 3, []string{"look", "look > partly", "look > partly > shown integer"}, ok, "", false},
		"no columns":               {in("", "nothing"), 3, []string{"look", "look > nothing"}, ok, "", false},

		"no such database":          {in("nowhere", ""), 1, nil, missing, "/database", false},
		"database of others":        {in("closed", ""), 2, nil, denied, "/database", false},
		"database that is shut":     {in("shut", "x"), 2, nil, denied, "/database", false},
		"a statement as database":   {in(`look"; DROP DATABASE app; --`, ""), 2, nil, missing, "/database", false},
		"a text that ends early":    {in("look\x00user\x00postgres", ""), 2, nil, missing, "/database", false},
		"parameters as database":    {in("dbname=app user=postgres", ""), 2, nil, missing, "/database", false},
		"no such table":             {in("", "persons"), 3, nil, missing, "/table", false},
		"no such table, shallow":    {in("look", "persons"), 1, nil, missing, "/table", false},
		"in another case":           {in("", "PEOPLE"), 3, nil, missing, "/table", false},
		"no such schema":            {in("", "sold.orders"), 3, nil, missing, "/table", false},
		"a table of another schema": {in("", "orders"), 3, nil, missing, "/table", false},
		"a table of others":         {in("", "hidden"), 3, nil, denied, "/table", false},
		"a schema of others":        {in("", "closed.granted"), 2, nil, denied, "/table", false},
		"a table of the system":     {in("", "pg_catalog.pg_roles"), 3, nil, missing, "/table", false},
		"a view of the system":      {in("", "information_schema.tables"), 3, nil, missing, "/table", false},
		"a sequence":                {in("", "counter"), 3, nil, missing, "/table", false},
		"a statement as table":      {in("", `people"; DROP TABLE people; --`), 3, nil, missing, "/table", false},
		"a longer one as table":     {in("", "people' OR true; DROP TABLE people; --"), 3, nil, missing, "/table", false},
		"a table that ends early":   {in("", "people\x00"), 3, nil, missing, "/table", false},
		"bytes as table":            {in("", "peopl\xe9"), 3, nil, missing, "/table", false},
		"a name beyond reason":      {in("", strings.Repeat("people.", 140)), 3, nil, missing, "/table", false},
	} {
		t.Run(name, func(t *testing.T) { r.check(t, good) })
	}
	sales := good.with(settings{"schema_name": "sales"})
	seen{in("", "orders"), 3, []string{"look", "look > orders", "look > orders > a integer, key", "look > orders > b integer, key", "look > orders > c text"}, ok, "", false}.check(t, sales)
	seen{in("", "people"), 2, nil, missing, "/table", false}.check(t, sales)
	seen{in("", "public.people"), 2, []string{"look", "look > public.people"}, ok, "", false}.check(t, sales)
	seen{in("", "pg_roles"), 2, nil, missing, "/table", false}.check(t, good.with(settings{"schema_name": "pg_catalog"}))
	seen{none, 1, append(slices.Clone(others), "wide"), ok, "", false}.check(t, good.with(settings{"username": "hasty"})) // which acts as another role
	seen{none, 1, nil, missing, "/credentials/database_name", false}.check(t, good.with(settings{"database_name": "nowhere"}))
	seen{in("", "x"), 1, nil, denied, "/credentials/database_name", false}.check(t, good.with(settings{"database_name": "closed"}))
	seen{in("look", ""), 1, []string{"look"}, ok, "", false}.check(t, good.with(settings{"database_name": "nowhere"}))
}

// shot is a sample and what it must be.
type shot struct {
	table     string
	code      probe.Code
	columns   []string
	rows      [][]any
	truncated bool
}

func (r shot) check(t *testing.T, s settings) {
	t.Helper()
	got, result := sample(t, probe.Budget, s, probe.Place{Table: r.table})
	pointer := map[bool]string{true: "", false: "/table"}[r.code == probe.CodeOK]
	if result.Code != r.code || result.Pointer != pointer || !slices.Equal(got.Columns, r.columns) || !reflect.DeepEqual(got.Rows, r.rows) || got.Truncated != r.truncated {
		t.Errorf("%s at %q, truncated %v: %q\n%#v\nwant %s, truncated %v: %q\n%#v", result.Code, result.Pointer, got.Truncated, got.Columns, got.Rows, r.code, r.truncated, r.columns, r.rows)
	}
	if r.code == probe.CodeOK && (got.ContentType != "application/json" || got.Columns == nil || got.Bytes != nil) {
		t.Errorf("%q, columns %v, %d bytes", got.ContentType, got.Columns != nil, len(got.Bytes))
	}
}

func samples(t *testing.T, good settings) {
	const (
		ok      = probe.CodeOK
		away    = probe.CodeTargetUnavailable
		missing = probe.WarnResourceNotFound
		denied  = probe.WarnScopeMissing
	)
	var people, numbers [][]any
	for i := range int64(20) {
		people = append(people, []any{i + 1, fmt.Sprintf("person %d", i+1), "2031-05-06 05:08:09+00", 2 * (i + 1)})
		numbers = append(numbers, []any{i + 1})
	}
	one := [][]any{{int64(1)}}
	for _, r := range []shot{
		{"people", ok, []string{"id", "name", "born", "twice"}, people, false},
		{"public.people", ok, []string{"id", "name", "born", "twice"}, people, false},
		{"numbers", ok, []string{"n"}, numbers, true},
		{"sales.orders", ok, []string{"a", "b", "c"}, [][]any{{int64(1), int64(2), "three"}}, false},
		{"sales.named", ok, []string{"name"}, [][]any{{"person 1"}, {"person 2"}}, false},
		{"partly", ok, []string{"shown"}, [][]any{{int64(7)}}, false},
		{"fresh", ok, []string{"one"}, one, false},
		{"parted", ok, []string{"k"}, nil, false},
		{"nothing", ok, []string{}, nil, false},
		{"a b.c", ok, []string{`q"uote`, `x"; DROP TABLE people; --`, "new\nline", "$1", "ünï"}, [][]any{{int64(1), "two", "three", int64(4), int64(5)}}, false},
		{`s.x";--.t'.y`, ok, []string{"z"}, nil, false},
		{"stale", away, nil, nil, false},
		{"remote", away, nil, nil, false},
		{"raising", away, nil, nil, false},
		{"writing", away, nil, nil, false},
		{"unlocking", away, nil, nil, false},
		{"counting", away, nil, nil, false},
		{"peeking", denied, nil, nil, false},
		{"hidden", denied, nil, nil, false},
		{"closed.granted", denied, nil, nil, false},
		{"persons", missing, nil, nil, false},
		{"pg_catalog.pg_authid", missing, nil, nil, false},
		{"(SELECT 1)", missing, nil, nil, false},
		{`people"; DROP TABLE people; --`, missing, nil, nil, false},
	} {
		t.Run(r.table, func(t *testing.T) { r.check(t, good) })
	}
	if got, r := sample(t, probe.Budget, good.with(settings{"database_name": "nowhere"}), probe.Place{Database: "twins", Table: "a.b.c"}); r.Code != ok || !slices.Equal(got.Columns, []string{"first"}) {
		t.Errorf("of another database: %s, %v", r.Code, got.Columns)
	}
}

// The server itself ends what takes long, and what waits for others.
func waiting(t *testing.T, s *server, good settings) {
	began := time.Now()
	if _, r := sample(t, 3*time.Second, good, probe.Place{Table: "sleeping"}); r.Code != probe.CodeProbeTimeout || r.Pointer != "/table" || time.Since(began) < time.Second {
		t.Errorf("%s at %q after %v", r.Code, r.Pointer, time.Since(began))
	}
	if n := s.sql(t, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'looker' AND state = 'active'"); n != "0" {
		t.Errorf("%s statements still run", n)
	}
	began = time.Now() // the role's own limit is stricter than ours
	if _, r := sample(t, probe.Budget, good.with(settings{"username": "hasty"}), probe.Place{Table: "sleeping"}); r.Code != probe.CodeProbeTimeout || time.Since(began) > probe.Budget/2 {
		t.Errorf("%s after %v", r.Code, time.Since(began))
	}
	c, err := pgconn.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=postgres dbname=look sslmode=disable", s.folder, s.port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }()
	if _, err := c.Exec(t.Context(), "BEGIN; LOCK TABLE people IN ACCESS EXCLUSIVE MODE").ReadAll(); err != nil {
		t.Fatal(err)
	}
	if _, r := sample(t, probe.Budget, good, probe.Place{Table: "people"}); r.Code != probe.CodeTargetUnavailable || r.Pointer != "/table" || !strings.Contains(r.Message, "lock") {
		t.Errorf("%s at %q: %s", r.Code, r.Pointer, r.Message)
	}
	for at, want := range map[probe.Place]string{{Table: "people"}: "/table", {}: ""} {
		_, r := tree(t, probe.Budget, good, at, 3) // a default is not told while the lock is held
		if r.Code != probe.CodeTargetUnavailable || r.Pointer != want || !strings.Contains(r.Message, "lock") {
			t.Errorf("%s at %q: %s", r.Code, r.Pointer, r.Message)
		}
	}
	for at, depth := range map[probe.Place]int{{Table: "partly"}: 3, {Table: "people"}: 2, {}: 2} {
		if _, r := tree(t, probe.Budget, good, at, depth); r.Code != probe.CodeOK {
			t.Errorf("%+v: %s", at, r.Code)
		}
	}
}

// A look ends as a probe does where the sign-in does.
func refusals(t *testing.T, good settings) {
	for name, s := range map[string]settings{
		"wrong secret":          good.with(settings{"password": "canary-wrong"}),
		"wrong user":            good.with(settings{"username": "stranger"}),
		"not asked":             good.with(settings{"username": "trusted"}),
		"barred":                good.with(settings{"username": "barred"}),
		"no login":              good.with(settings{"username": "nologin"}),
		"wrong host":            good.with(settings{"host": "db.invalid"}),
		"port of no server":     good.with(settings{"port": 25}),
		"certificate":           good.with(settings{"host": "db.example.com"}),
		"plaintext, not listed": good.with(settings{"host": "93.184.215.14", "sslmode": "disable"}),
		"too many":              good.with(settings{"username": "full"}),
	} {
		t.Run(name, func(t *testing.T) {
			want := run(t, s)
			_, got := tree(t, probe.Budget, s, probe.Place{}, 3)
			_, shown := sample(t, probe.Budget, s, probe.Place{Table: "people"})
			for _, r := range []probe.Result{got, shown} {
				if r.Code == probe.CodeOK || r.Code != want.Code || r.Message != want.Message || r.Pointer != want.Pointer || r.Status != want.Status {
					t.Errorf("%s at %q: %s; a probe %s at %q: %s", r.Code, r.Pointer, r.Message, want.Code, want.Pointer, want.Message)
				}
			}
		})
	}
}
