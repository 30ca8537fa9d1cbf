package main

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/api/admin"
)

// output is how a command prints its result. Every command with a result embeds it.
type output struct {
	JSON bool `name:"json" help:"Print JSON, for scripts."`
}

// print writes the reply to a command: JSON, or a table or a sentence for a person.
func (o output) print(w io.Writer, action string, r admin.Reply) error {
	if o.JSON {
		return printJSON(w, r)
	}
	switch action {
	case admin.AddOrg, admin.AddUser, admin.AddKey, admin.RotateKey:
		return printKey(w, r)
	case admin.DeleteKey:
		_, err := fmt.Fprintf(w, "Key %d is deleted.\n", r.Keys[0].ID)
		return err
	}
	head, rows := cells(action, r)
	switch {
	case strings.HasSuffix(action, " list") && len(rows) == 0:
		_, err := fmt.Fprintln(w, "None.")
		return err
	case strings.HasSuffix(action, " list"):
		return printTable(w, head, rows)
	}
	for _, row := range rows { // one thing, a line for each property
		var lines [][]string
		for n, name := range head[1:] {
			lines = append(lines, []string{name, row[n+1]})
		}
		if err := printTable(w, []string{head[0], row[0]}, lines); err != nil {
			return err
		}
	}
	return nil
}

// printKey writes a new service key, alone on its line, and whose it is.
func printKey(w io.Writer, r admin.Reply) error {
	whose := "user " + r.Email
	if r.Email == "" {
		whose = "user " + strconv.FormatInt(r.UserID, 10)
	}
	_, err := fmt.Fprintf(w, "Organisation %q (%d), %s. The service key is shown only now:\n\n%s\n\n", r.OrgName, r.OrgID, whose, r.ServiceKey)
	return err
}

// cells returns the heading and the rows of a reply's list.
func cells(action string, r admin.Reply) (head []string, rows [][]string) {
	switch {
	case strings.HasPrefix(action, "org "):
		head = []string{"ID", "NAME", "DOMAIN", "STATUS", "AUDIT DAYS", "CREATED"}
		for _, o := range r.Orgs {
			rows = append(rows, []string{number(o.ID), o.Name, o.Domain, o.Status, strconv.Itoa(o.AuditDays), when(o.CreatedAt)})
		}
	case strings.HasPrefix(action, "user "):
		head = []string{"ID", "EMAIL", "NAME", "ADMIN", "STATUS", "KEYS", "CREATED"}
		for _, u := range r.Users {
			rows = append(rows, []string{number(u.ID), u.Email, u.FullName, yes(u.Admin), u.Status, strconv.Itoa(u.Keys), when(u.CreatedAt)})
		}
	default:
		head = []string{"ID", "USER", "NAME", "STATUS", "SCOPES", "EXPIRES", "LAST USED", "CREATED"}
		for _, k := range r.Keys {
			rows = append(rows, []string{
				number(k.ID), cmp.Or(k.Owner, number(k.OwnerID)), k.Name, k.Status, scopes(k.Scopes), when(k.ExpiresAt), when(k.UsedAt), when(k.CreatedAt),
			})
		}
	}
	return head, rows
}

func number(id int64) string { return strconv.FormatInt(id, 10) }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func scopes(list []access.Scope) string {
	if len(list) == 0 || len(list) == len(access.Scopes) {
		return "all"
	}
	names := make([]string, len(list))
	for n, s := range list {
		names[n] = string(s)
	}
	return strings.Join(names, ",")
}

// when writes a time for a person, to the minute and in UTC.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04") + " UTC"
}

// printTable writes a heading and rows in aligned columns.
func printTable(w io.Writer, head []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		if _, err := fmt.Fprintln(t, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// printJSON writes one indented JSON value and a line break.
func printJSON(w io.Writer, value any) error {
	if err := json.MarshalWrite(w, value, jsontext.WithIndent("  ")); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}
