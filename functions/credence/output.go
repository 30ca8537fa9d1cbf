package main

import (
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/api/admin"
)

// output is how a command prints its result. Every command with a result embeds it.
type output struct {
	JSON bool `name:"json" help:"Print JSON, for scripts."`
}

// added prints what an add command created, with the service key that is shown once.
func (o output) added(s streams, r admin.Reply) error {
	if o.JSON {
		return printJSON(s.out, r)
	}
	_, err := fmt.Fprintf(s.out, "Organisation %q (%d), user %s. The service key is shown only now:\n\n%s\n\n", r.OrgName, r.OrgID, r.Email, r.ServiceKey)
	return err
}

// printJSON writes one indented JSON value and a line break.
func printJSON(w io.Writer, value any) error {
	if err := json.MarshalWrite(w, value, jsontext.WithIndent("  ")); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}
