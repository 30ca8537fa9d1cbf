package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/api/admin"
	"credence/shared/api/auditlog"
)

// auditCommand prints an organisation's own audit log.
type auditCommand struct {
	Org   int64    `placeholder:"ID" help:"Id of the organisation; the only one if left out."`
	From  string   `placeholder:"DAY" help:"First day, such as 2026-01-31; the last 30 days without --from and --to."`
	To    string   `placeholder:"DAY" help:"Last day."`
	Event []string `placeholder:"NAME" help:"Only these events; !NAME leaves one out."`
	JSON  bool     `name:"json" help:"Print each entry as a line of JSON, for scripts."`
	where `embed:""`
}

// Run prints the entries newest first, a page of the log at a time.
func (c *auditCommand) Run(ctx context.Context, io streams) error {
	command := admin.Command{Action: admin.Audit, Org: c.Org, From: c.From, To: c.To, Events: c.Event, Limit: 1000}
	for first := true; ; first = false {
		reply, err := c.do(ctx, command)
		if err != nil {
			return err
		}
		if c.JSON {
			err = printLines(io, reply.Entries)
		} else {
			err = printEntries(io, reply.Entries, first)
		}
		if err != nil || reply.Next == 0 {
			return err
		}
		command.After = reply.Next
	}
}

func printLines(io streams, entries []auditlog.Entry) error {
	for _, e := range entries {
		if err := json.MarshalWrite(io.out, e, jsontext.Multiline(false)); err != nil {
			return err
		}
		if _, err := io.out.Write([]byte("\n")); err != nil {
			return err
		}
	}
	return nil
}

func printEntries(io streams, entries []auditlog.Entry, first bool) error {
	head := []string{"TIME", "EVENT", "USER", "KEY", "ADDRESS", "SUMMARY"}
	rows := make([][]string, 0, len(entries))
	for _, e := range entries {
		user, key := "-", "-"
		if e.User.Email != nil {
			user = *e.User.Email
		}
		if e.Key != nil {
			key = strconv.FormatInt(e.Key.ID, 10)
		}
		at := time.Time(e.CreatedAt).UTC().Format("2006-01-02 15:04:05") + " UTC"
		rows = append(rows, []string{at, string(e.Event), user, key, e.IP, strings.Join(e.Summary, "; ")})
	}
	if !first && len(rows) > 0 {
		head, rows = rows[0], rows[1:]
	}
	if !first && len(entries) == 0 {
		return nil
	}
	return printTable(io.out, head, rows)
}
