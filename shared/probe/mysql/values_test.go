package mysql_test

import (
	"reflect"
	"strconv"
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
	{"a tinyint", "-128", int64(-128)},
	{"b boolean", "true", int64(1)},
	{"c int(5) unsigned zerofill", "7", int64(7)},
	{"d bigint", "9007199254740991", int64(1<<53 - 1)},
	{"e bigint", "9007199254740992", "9007199254740992"},
	{"f bigint", "-9223372036854775808", "-9223372036854775808"},
	{"g bigint unsigned", "18446744073709551615", "18446744073709551615"},
	{"h bit(1)", "1", int64(1)},
	{"i bit(64)", "18446744073709551615", "18446744073709551615"},
	{"j year", "2031", int64(2031)},
	{"k float", "0.1", 0.1},
	{"l double", "0.30000000000000004", 0.30000000000000004},
	{"m double", "-1e300", -1e300},
	{"n decimal(20,4)", "12.5", "12.5000"},
	{"o decimal(65,0)", "1e60", "1" + strings.Repeat("0", 60)},
	{"p text", `'it''s "ünï" 😀'`, `it's "ünï" 😀`},
	{"q varchar(9)", "''", ""},
	{"r text", "NULL", nil},
	{"s int", "NULL", nil},
	{"t char(5)", "'ab'", "ab"},
	{"u json", `'{"b": 1, "a": [true, null]}'`, `{"b": 1, "a": [true, null]}`},
	{"v blob", "x'00ff41'", "00ff41"},
	{"w varbinary(9)", "''", ""},
	{"x binary(3)", "x'e9'", "e90000"},
	{"y timestamp(3)", "'2031-05-06 07:08:09.5'", "2031-05-06 05:08:09.500"},
	{"z datetime", "'2031-05-06 07:08:09'", "2031-05-06 07:08:09"},
	{"aa date", "'2031-05-06'", "2031-05-06"},
	{"ab time", "'-07:08:09'", "-07:08:09"},
	{"ac enum('happy','sad')", "'happy'", "happy"},
	{"ad set('x','y')", "'x,y'", "x,y"},
	{"ae point", "PointFromText('POINT(1 2)')", "0101000000000000000000f03f0000000000000040"},
	{"af uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
	{"ag inet6", "'::1'", "::1"},
	{"ah text character set latin1", "'schön'", "schön"},
	{"ai text character set utf16", "'schön'", "schön"},
	{`aj text`, `'tab\there\nline'`, "tab\there\nline"},
	{"ak longtext collate utf8mb4_bin", "'B'", "B"},
	{"al float", "3.4e38", 3.4e38},
}

// Values are of the kinds that JSON has where they fit, and else text, whatever
// the server's settings say of their form.
func values(t *testing.T, s *server, good settings) {
	var columns, list []string
	for _, c := range every {
		columns, list = append(columns, c.column), append(list, c.value)
	}
	s.sql(t, `SET NAMES utf8mb4; SET time_zone = '+02:00'; USE look;
CREATE TABLE every (`+strings.Join(columns, ", ")+`); INSERT INTO every VALUES (`+strings.Join(list, ", ")+`); GRANT SELECT ON every TO looker@'%';
SET GLOBAL time_zone = '+09:00'; SET GLOBAL sql_mode = 'ANSI,PAD_CHAR_TO_FULL_LENGTH'; SET GLOBAL character_set_results = 'latin1';`)
	defer s.sql(t, "SET GLOBAL time_zone = DEFAULT; SET GLOBAL sql_mode = DEFAULT; SET GLOBAL character_set_results = DEFAULT")
	got, r := sample(t, probe.Budget, good, probe.Place{Table: "every"})
	if r.Code != probe.CodeOK || got.Truncated || len(got.Rows) != 1 || len(got.Rows[0]) != len(every) {
		t.Fatalf("%s, truncated %v, %d rows", r.Code, got.Truncated, len(got.Rows))
	}
	for i, c := range every {
		want := c.want
		if c.column == "t char(5)" { // as the server pads it
			want = "ab   "
		}
		if !reflect.DeepEqual(got.Rows[0][i], want) {
			t.Errorf("%s: %#v, want %#v", c.column, got.Rows[0][i], want)
		}
	}
	seen{probe.Place{Database: "look", Table: "a b.c"}, 2, []string{"look", "look > a b.c"}, probe.CodeOK, ""}.check(t, good)
}

// patience is the budget for much data: on a machine that does other work, too, it
// takes longer than a probe has.
const patience = 6 * probe.Budget

// What is large is cut, and said to be.
func limits(t *testing.T, s *server, good settings) {
	var broad, wide, long strings.Builder
	for i := range 600 {
		broad.WriteString(", c" + strings.Repeat("é", 30) + strconv.Itoa(i) + " bigint unsigned DEFAULT 18446744073709551615")
		if i < 300 {
			wide.WriteString(", c" + strconv.Itoa(i) + " text DEFAULT REPEAT('w', 900)")
		}
	}
	for i := range 8 {
		long.WriteString("CREATE TABLE columns_" + strconv.Itoa(i) + " (k int" + strings.ReplaceAll(broad.String(), " bigint unsigned DEFAULT 18446744073709551615", " int") + ");\n")
	}
	s.sql(t, `SET NAMES utf8mb4; SET GLOBAL max_allowed_packet = 67108864; CREATE DATABASE large; GRANT SELECT ON large.* TO looker@'%'; USE large;
SET SESSION innodb_strict_mode = OFF;
CREATE TABLE huge (a longtext, b longtext, c longblob);
INSERT INTO huge SELECT REPEAT('x', 5000000), REPEAT('€', 2000000), REPEAT(x'ab', 3000000) FROM look.numbers LIMIT 21;
CREATE TABLE fits (a text, b text, c blob); INSERT INTO fits VALUES (REPEAT('x', 1024), REPEAT('€', 341), REPEAT(x'ab', 512));
CREATE TABLE broad (k int`+broad.String()+`); INSERT INTO broad (k) SELECT n FROM look.numbers LIMIT 25;
CREATE TABLE wide (k int`+wide.String()+`) ENGINE = Aria; INSERT INTO wide (k) SELECT n FROM look.numbers LIMIT 25;
CREATE TABLE worded (x text DEFAULT '`+strings.Repeat("ö", 3000)+`');
`+long.String()+`
DELIMITER //
CREATE DATABASE views// USE views//
BEGIN NOT ATOMIC DECLARE i int DEFAULT 0; WHILE i < 5100 DO EXECUTE IMMEDIATE CONCAT('CREATE VIEW v', LPAD(i, 4, '0'), ' AS SELECT 1 AS one'); SET i = i + 1; END WHILE; END//
GRANT SELECT ON views.* TO dba2@'%'//`)
	euro, digits := strings.Repeat("€", 341), strings.Repeat("ab", 512)
	in := func(table string) probe.Place { return probe.Place{Database: "large", Table: table} }
	got, r := sample(t, patience, good, in("huge"))
	if r.Code != probe.CodeOK || len(got.Rows) != 20 || !got.Truncated {
		t.Fatalf("%s, %d rows, truncated %v", r.Code, len(got.Rows), got.Truncated)
	}
	for _, row := range got.Rows {
		if row[0] != strings.Repeat("x", 1024) || row[1] != euro || row[2] != digits {
			t.Fatalf("%.40q …", row)
		}
	}
	got, r = sample(t, patience, good, in("fits"))
	if r.Code != probe.CodeOK || got.Truncated || !reflect.DeepEqual(got.Rows, [][]any{{strings.Repeat("x", 1024), euro, digits}}) {
		t.Errorf("%s, truncated %v: %.40q", r.Code, got.Truncated, got.Rows)
	}
	got, r = sample(t, patience, good, in("broad")) // no number is cut
	if r.Code != probe.CodeOK || len(got.Columns) != 500 || len(got.Rows) != 20 || !got.Truncated || got.Rows[19][499] != "18446744073709551615" {
		t.Errorf("of many columns: %s, %d columns, %d rows, truncated %v", r.Code, len(got.Columns), len(got.Rows), got.Truncated)
	}
	got, r = sample(t, patience, good, in("wide"))
	if r.Code != probe.CodeOK || len(got.Columns) != 301 || len(got.Rows) < 7 || len(got.Rows) >= 20 || !got.Truncated || len(got.Rows[0][300].(string)) < 150 {
		t.Errorf("of wide columns: %s, %d columns, %d rows, truncated %v", r.Code, len(got.Columns), len(got.Rows), got.Truncated)
	}
	listed(t, good, in(""), 2, 1, 100)
	listed(t, good, in(""), 3, 3000, probe.MaxNodes)
	dba := good.with(settings{"username": "dba2"})
	listed(t, dba, probe.Place{}, 2, probe.MaxNodes, probe.MaxNodes)
	listed(t, dba, probe.Place{Database: "views"}, 2, probe.MaxNodes, probe.MaxNodes)
	shown, r := tree(t, patience, good, in("worded"), 3)
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
