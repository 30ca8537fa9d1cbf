package mysql_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// objects are what there is to look at.
var objects = strings.ReplaceAll(`
CREATE DATABASE look CHARACTER SET utf8mb4;
CREATE DATABASE sales;
CREATE DATABASE hidden;
CREATE DATABASE ~d.ot~;
CREATE USER looker@'%' IDENTIFIED BY SECRET;
CREATE USER dba2@'%' IDENTIFIED BY SECRET;
GRANT ALL ON *.* TO dba2@'%';
USE look;
CREATE TABLE people (id int PRIMARY KEY, name varchar(40) NOT NULL DEFAULT 'nobody', born timestamp NULL DEFAULT current_timestamp(), twice int AS (id * 2), rate decimal(8,2) DEFAULT 1.50);
INSERT INTO people (id, name, born) SELECT seq, CONCAT('person ', seq), FROM_UNIXTIME(1935810489) FROM seq_1_to_20;
CREATE TABLE nothing (x enum('a','b'));
CREATE VIEW numbers AS SELECT seq AS n FROM seq_1_to_30;
CREATE TABLE insertable (x int);
CREATE TABLE partly (shown int, secret text);
INSERT INTO partly VALUES (7, 'canary-column');
CREATE TABLE log (what text);
CREATE SEQUENCE counter;
CREATE TABLE gone (x int);
CREATE VIEW broken AS SELECT x FROM gone;
DROP TABLE gone;
CREATE TABLE versioned (x int) WITH SYSTEM VERSIONING;
CREATE TABLE ~a b.c~ (~q"uo~~te~ int PRIMARY KEY, ~x; DROP TABLE people; -- y~ text DEFAULT 'it''s', ~new
line~ text, ~?~ int, ~ünï~ int);
INSERT INTO ~a b.c~ VALUES (1, 'two', 'three', 4, 5);
CREATE TABLE ~sales.orders~ (mine int);
CREATE TABLE ~café~ (x int);
DELIMITER //
CREATE FUNCTION raises() RETURNS int BEGIN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'FOREIGN-b7f31c', MYSQL_ERRNO = 1045; RETURN 1; END//
CREATE FUNCTION writes() RETURNS int MODIFIES SQL DATA BEGIN INSERT INTO log VALUES ('FOREIGN-b7f31c'); RETURN 1; END//
DELIMITER ;
CREATE FUNCTION peeks() RETURNS int READS SQL DATA SQL SECURITY INVOKER RETURN (SELECT MAX(x) FROM hidden.t);
CREATE VIEW raising AS SELECT raises() AS x;
CREATE VIEW writing AS SELECT writes() AS x;
CREATE VIEW counting AS SELECT NEXTVAL(counter) AS x;
CREATE TABLE hidden.t (x int);
CREATE SQL SECURITY INVOKER VIEW peeking AS SELECT peeks() AS x;
CREATE VIEW sleeping AS SELECT SLEEP(60) AS x;
CREATE TABLE sales.orders (a int, b int, c text, PRIMARY KEY (b, a));
INSERT INTO sales.orders VALUES (1, 2, 'three');
CREATE TABLE sales.returns (x int);
CREATE TABLE ~d.ot~.~t.'y~ (z int);
GRANT SELECT ON sales.* TO looker@'%';
GRANT SELECT ON ~d.ot~.* TO looker@'%';
GRANT EXECUTE ON look.* TO looker@'%';
GRANT INSERT ON look.insertable TO looker@'%';
GRANT SELECT (shown), INSERT (secret) ON look.partly TO looker@'%';
`+func() (grants string) {
	for _, table := range []string{"people", "nothing", "numbers", "counter", "broken", "versioned", "~a b.c~", "~sales.orders~", "~café~", "raising", "writing", "counting", "peeking", "sleeping"} {
		grants += "GRANT SELECT ON look." + table + " TO looker@'%';\n"
	}
	return grants
}(), "~", "`")

func tree(t testing.TB, budget time.Duration, s settings, at probe.Place, depth int) (probe.Tree, probe.Result) {
	t.Helper()
	r, checked := runner(t, budget, s)
	began := time.Now()
	got, result := r.Tree(t.Context(), "mysql", checked, at, depth)
	sound(t, result, time.Since(began), budget)
	return got, result
}

func sample(t testing.TB, budget time.Duration, s settings, at probe.Place) (probe.Sample, probe.Result) {
	t.Helper()
	r, checked := runner(t, budget, s)
	began := time.Now()
	got, result := r.Sample(t.Context(), "mysql", checked, at)
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
	at      probe.Place
	depth   int
	want    []string // nil for what is not there
	code    probe.Code
	pointer string
}

func (r seen) check(t *testing.T, s settings) {
	t.Helper()
	got, result := tree(t, probe.Budget, s, r.at, r.depth)
	lines := probetest.Lines(got.Nodes)
	if result.Code != r.code || result.Pointer != r.pointer || !slices.Equal(lines, r.want) || got.Truncated {
		t.Errorf("%s at %q, truncated %v:\n%s\nwant %s at %q:\n%s", result.Code, result.Pointer, got.Truncated, strings.Join(lines, "\n"), r.code, r.pointer, strings.Join(r.want, "\n"))
	}
}

// What there is, and what there is not, to look at in a real server.
func TestBrowseMariaDB(t *testing.T) {
	ca := probetest.NewAuthority(t)
	s := start(t, ca.Issue(t, probetest.Leaf{}))
	s.sql(t, "SET NAMES utf8mb4;\n"+strings.ReplaceAll(objects, "SECRET", "'"+strings.ReplaceAll(secret, "'", "''")+"'"))
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
	t.Run("limits", func(t *testing.T) { limits(t, s, good) })
	t.Run("a server that heeds no case", func(t *testing.T) {
		s.launch(t, append(s.encrypted(), "--lower-case-table-names=1")...)
		want := []string{"look", "look > people"}
		there := good.with(settings{"port": s.port, "database_name": "Look"})
		seen{probe.Place{Table: "People"}, 2, want, probe.CodeOK, ""}.check(t, there)
		seen{probe.Place{Table: "LOOK.people"}, 2, want, probe.CodeOK, ""}.check(t, there)
		seen{probe.Place{Database: "LOOK", Table: "PEOPLE"}, 2, want, probe.CodeOK, ""}.check(t, there)
		seen{probe.Place{Table: "cafe"}, 2, nil, probe.WarnResourceNotFound, "/table"}.check(t, there)
	})
}

// dump is all that is in the databases that are looked at.
func (s *server) dump(t *testing.T) string {
	t.Helper()
	return s.run(t, "", "mariadb-dump", "--no-defaults", "-S", s.socket(), "-u", "root", "--skip-dump-date", "--ignore-table=look.broken", "--routines", "--databases", "look", "sales")
}

func trees(t *testing.T, good settings) {
	people := []string{
		"look", "look > people", "look > people > id int(11), key", "look > people > name varchar(40), default 'nobody'", "look > people > born timestamp, default current_timestamp()",
		"look > people > twice int(11)", "look > people > rate decimal(8,2), default 1.50",
	}
	orders := []string{"sales", "sales > orders", "sales > orders > a int(11), key", "sales > orders > b int(11), key", "sales > orders > c text"}
	odd := []string{"look", "look > a b.c", "look > a b.c > q\"uo`te int(11), key", "look > a b.c > x; DROP TABLE people; -- y text, default 'it\\'s'", "look > a b.c > new\nline text", "look > a b.c > ? int(11)", "look > a b.c > ünï int(11)"}
	tables := []string{
		"look", "look > a b.c", "look > broken", "look > café", "look > counting", "look > insertable", "look > nothing", "look > numbers", "look > partly", "look > peeking", "look > people",
		"look > raising", "look > sales.orders", "look > sleeping", "look > versioned", "look > writing",
	}
	const (
		ok      = probe.CodeOK
		missing = probe.WarnResourceNotFound
		denied  = probe.WarnScopeMissing
	)
	in := func(database, table string) probe.Place { return probe.Place{Database: database, Table: table} }
	none := probe.Place{}
	for name, r := range map[string]seen{
		"databases":                {none, 1, []string{"d.ot", "look", "sales"}, ok, ""},
		"databases and tables":     {none, 2, slices.Concat([]string{"d.ot", "d.ot > t.'y"}, tables, []string{"sales", "sales > orders", "sales > returns"}), ok, ""},
		"a database":               {in("look", ""), 1, []string{"look"}, ok, ""},
		"tables":                   {in("look", ""), 2, tables, ok, ""},
		"another database":         {in("sales", ""), 3, slices.Concat(orders, []string{"sales > returns", "sales > returns > x int(11)"}), ok, ""},
		"a table":                  {in("", "people"), 3, people, ok, ""},
		"a table, deeper":          {in("look", "people"), 10, people, ok, ""},
		"a table, no columns":      {in("", "people"), 2, people[:2], ok, ""},
		"a table, its database":    {in("", "people"), 1, people[:1], ok, ""},
		"with its database":        {in("", "look.people"), 3, people, ok, ""},
		"of another database":      {in("sales", "orders"), 3, orders, ok, ""},
		"with a dot of its own":    {in("", "sales.orders"), 3, []string{"look", "look > sales.orders", "look > sales.orders > mine int(11)"}, ok, ""},
		"with another database":    {in("", "sales.returns"), 3, []string{"sales", "sales > returns", "sales > returns > x int(11)"}, ok, ""},
		"odd names":                {in("", "a b.c"), 3, odd, ok, ""},
		"odd names, database":      {in("", "d.ot.t.'y"), 3, []string{"d.ot", "d.ot > t.'y", "d.ot > t.'y > z int(11)"}, ok, ""},
		"columns that may be read": {in("", "partly"), 3, []string{"look", "look > partly", "look > partly > shown int(11)"}, ok, ""},
		"no column may be read":    {in("", "insertable"), 3, []string{"look", "look > insertable"}, ok, ""},

		"no such database":          {in("nowhere", ""), 1, nil, denied, "/database"}, // MariaDB does not tell the two apart
		"database of others":        {in("hidden", ""), 2, nil, denied, "/database"},
		"database of the server":    {in("mysql", ""), 2, nil, missing, "/database"},
		"the server's catalogue":    {in("Information_Schema", ""), 2, nil, missing, "/database"},
		"a statement as database":   {in("look`; DROP DATABASE sales; -- ", ""), 2, nil, missing, "/database"},
		"a text that ends early":    {in("look\x00", ""), 2, nil, missing, "/database"},
		"an emoji as database":      {in("look😀", ""), 2, nil, missing, "/database"},
		"too long for a database":   {in(strings.Repeat("look", 40), ""), 2, nil, missing, "/database"},
		"no such table":             {in("", "persons"), 3, nil, missing, "/table"},
		"a character of no name":    {in("look", "🦆"), 3, nil, missing, "/table"},
		"no such table, shallow":    {in("look", "persons"), 1, nil, missing, "/table"},
		"without its accent":        {in("", "cafe"), 3, nil, missing, "/table"},
		"with a blank":              {in("", "people "), 3, nil, missing, "/table"},
		"a table of another":        {in("", "returns"), 3, nil, missing, "/table"},
		"a table of others":         {in("", "hidden.t"), 3, nil, missing, "/table"},
		"a table without a right":   {in("", "log"), 3, nil, missing, "/table"},
		"a table of the system":     {in("", "mysql.user"), 3, nil, missing, "/table"},
		"one of its catalogue":      {in("", "information_schema.TABLES"), 3, nil, missing, "/table"},
		"a sequence":                {in("", "counter"), 3, nil, missing, "/table"},
		"the database asked counts": {in("look", "sales.returns"), 3, nil, missing, "/table"},
		"a statement as table":      {in("", "people`; DROP TABLE people; -- "), 3, nil, missing, "/table"},
		"a longer one as table":     {in("", "people' OR 1=1; DROP TABLE people; -- "), 3, nil, missing, "/table"},
		"a table that ends early":   {in("", "people\x00"), 3, nil, missing, "/table"},
		"bytes as table":            {in("", "peopl\xe9"), 3, nil, missing, "/table"},
		"a name beyond reason":      {in("", strings.Repeat("people.", 140)), 3, nil, missing, "/table"},
	} {
		t.Run(name, func(t *testing.T) { r.check(t, good) })
	}
	bare := good.with(settings{"database_name": nil})
	seen{in("", "sales.orders"), 3, orders, ok, ""}.check(t, bare)
	seen{in("", "orders"), 3, nil, missing, "/database"}.check(t, bare)
	seen{none, 1, []string{"d.ot", "look", "sales"}, ok, ""}.check(t, good.with(settings{"database_name": "nowhere"}))
	seen{in("", "sales.orders"), 3, orders, ok, ""}.check(t, good.with(settings{"database_name": "nowhere"}))
	seen{in("", "orders"), 3, nil, denied, "/credentials/database_name"}.check(t, good.with(settings{"database_name": "nowhere"}))
	dba := good.with(settings{"username": "dba2"})
	seen{in("nowhere", ""), 1, nil, missing, "/database"}.check(t, dba)
	seen{in("", "mysql.user"), 2, nil, missing, "/table"}.check(t, dba)
	seen{in("", "MySQL.user"), 2, nil, missing, "/table"}.check(t, dba)
	seen{in("", "sys.host_summary"), 2, nil, missing, "/table"}.check(t, dba)
	seen{in("look", "PEOPLE"), 2, nil, missing, "/table"}.check(t, good)
	seen{in("LOOK", ""), 1, nil, denied, "/database"}.check(t, good)
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
		people = append(people, []any{i + 1, fmt.Sprintf("person %d", i+1), "2031-05-06 05:08:09", 2 * (i + 1), "1.50"})
		numbers = append(numbers, []any{i + 1})
	}
	for _, r := range []shot{
		{"people", ok, []string{"id", "name", "born", "twice", "rate"}, people, false},
		{"look.people", ok, []string{"id", "name", "born", "twice", "rate"}, people, false},
		{"numbers", ok, []string{"n"}, numbers, true},
		{"sales.returns", ok, []string{"x"}, nil, false},
		{"sales.orders", ok, []string{"mine"}, nil, false},
		{"partly", ok, []string{"shown"}, [][]any{{int64(7)}}, false},
		{"versioned", ok, []string{"x"}, nil, false},
		{"a b.c", ok, []string{"q\"uo`te", "x; DROP TABLE people; -- y", "new\nline", "?", "ünï"}, [][]any{{int64(1), "two", "three", int64(4), int64(5)}}, false},
		{"d.ot.t.'y", ok, []string{"z"}, nil, false},
		{"broken", away, nil, nil, false},
		{"raising", away, nil, nil, false},
		{"writing", away, nil, nil, false},
		{"counting", away, nil, nil, false},
		{"peeking", away, nil, nil, false}, // the server does not tell it from a broken one
		{"insertable", denied, nil, nil, false},
		{"log", missing, nil, nil, false},
		{"persons", missing, nil, nil, false},
		{"mysql.global_priv", missing, nil, nil, false},
		{"(SELECT 1)", missing, nil, nil, false},
		{"people`; DROP TABLE people; -- ", missing, nil, nil, false},
	} {
		t.Run(r.table, func(t *testing.T) { r.check(t, good) })
	}
	if got, r := sample(t, probe.Budget, good.with(settings{"database_name": nil}), probe.Place{Database: "sales", Table: "orders"}); r.Code != ok || !reflect.DeepEqual(got.Rows, [][]any{{int64(1), int64(2), "three"}}) {
		t.Errorf("of another database: %s, %v", r.Code, got.Rows)
	}
}

// The server itself ends what takes long, and what waits for others.
func waiting(t *testing.T, s *server, good settings) {
	began := time.Now()
	if _, r := sample(t, 3*time.Second, good, probe.Place{Table: "sleeping"}); r.Code != probe.CodeProbeTimeout || r.Pointer != "/table" || time.Since(began) < time.Second {
		t.Errorf("%s at %q after %v", r.Code, r.Pointer, time.Since(began))
	}
	if n := s.sql(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'looker' AND COMMAND = 'Query'"); n != "0" {
		t.Errorf("%s statements still run", n)
	}
	config := driver.NewConfig()
	config.User, config.Net, config.Addr = "root", "unix", s.socket()
	connector, err := driver.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	c, err := connector.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	locks, err := c.Prepare("LOCK TABLES look.people WRITE")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locks.Exec(nil); err != nil { //nolint:staticcheck // the driver's own connection has no newer way
		t.Fatal(err)
	}
	if _, r := sample(t, probe.Budget, good, probe.Place{Table: "people"}); r.Code != probe.CodeTargetUnavailable || r.Pointer != "/table" || !strings.Contains(r.Message, "lock") {
		t.Errorf("%s at %q: %s", r.Code, r.Pointer, r.Message)
	}
	for _, at := range []probe.Place{{Table: "partly"}, {Table: "people"}, {}} {
		if _, r := tree(t, probe.Budget, good, at, 3); r.Code != probe.CodeOK {
			t.Errorf("%+v: %s", at, r.Code)
		}
	}
}

// A look ends as a probe does where the sign-in does.
func refusals(t *testing.T, good settings) {
	for name, s := range map[string]settings{
		"wrong secret":           good.with(settings{"password": "canary-wrong"}),
		"expired":                good.with(settings{"username": "expired"}),
		"locked":                 good.with(settings{"username": "locked"}),
		"another way to sign in": good.with(settings{"username": "socket"}),
		"wrong host":             good.with(settings{"host": "db.invalid"}),
		"port of no server":      good.with(settings{"port": 25}),
		"certificate":            good.with(settings{"host": "db.example.com"}),
		"plaintext, not listed":  good.with(settings{"host": "93.184.215.14", "sslmode": "disable"}),
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
