package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/httpapi"
)

// Rewrap is the action that moves an organisation's data keys under the current
// KMS key. Only Function does it.
const Rewrap = "rewrap"

// Check is the action that compares all that is stored of an organisation with
// itself. Only Function does it; it writes nothing.
const Check = "check"

// Inspector compares what is stored; credential.Inspector is one.
type Inspector interface {
	Org(ctx context.Context, org int64, cursor string, limit int) (credential.Inspected, error)
}

// Rewrapper moves data keys; credential.Rewrapper is one.
type Rewrapper interface {
	Org(ctx context.Context, org int64, cursor string, limit int) (credential.Rewrapped, error)
}

// How much one call of Rewrap moves.
const (
	standardMoves = 200
	maxMoves      = 1000
)

// margin is how long before the deadline work ends, so that the answer, with
// the place to go on from, still leaves.
const margin = 2 * time.Second

// Function answers events that are commands: what is invoked by name, with the
// right to do so given by IAM. It implements the Handler of aws-lambda-go.
type Function struct {
	API       API
	Rewrapper Rewrapper
	Inspector Inspector
	Logger    *slog.Logger
}

// request is a command as an event has it.
type request struct {
	Command
	Cursor string `json:"cursor,omitzero"` // Rewrap, Check: the next of the call before; "" begins
}

// response is what the event is answered. Error is "" where the command was
// done; a rewrap that ended early says both why and how far it came.
type response struct {
	Error   string   `json:"error,omitzero"`
	Code    string   `json:"error_code,omitzero"`
	Made    *Reply   `json:"made,omitzero"`  // a reply that holds a new service key
	Found   *Reply   `json:"found,omitzero"` // any other reply
	Rewrap  *moves   `json:"rewrap,omitzero"`
	Check   *checks  `json:"check,omitzero"`
	Actions []string `json:"actions,omitzero"` // those there are, where the event named none of them

	org int64 // that the command was about, for the log
}

type moves struct {
	Moved   int      `json:"moved"`
	Already int      `json:"already"`
	Refused []string `json:"refused"`
	Next    string   `json:"next"` // "" = the organisation is done
}

// checks is how far a check came. Findings name rows and ids, and no secret.
type checks struct {
	Users       int       `json:"users"`
	Credentials int       `json:"credentials"`
	Secrets     int       `json:"secrets"`
	References  int       `json:"references"`
	Audit       int64     `json:"audit_entries"`
	Findings    []finding `json:"findings"`
	Next        string    `json:"next"` // "" = the organisation is done
}

type finding struct {
	Where   string `json:"where"`
	Problem string `json:"problem"`
	Remedy  string `json:"remedy"`
}

// Invoke carries out one event. The error is always nil and it never panics:
// the runtime would write either's text into the log.
func (f Function) Invoke(ctx context.Context, payload []byte) (answer []byte, _ error) {
	var r request
	var out response
	defer func() {
		if v := recover(); v != nil {
			f.Logger.ErrorContext(ctx, "an admin command panicked", "panic_type", fmt.Sprintf("%T", v))
			answer = []byte(`{"error":"The command failed; the log says where.","error_code":"internal"}`)
		}
	}()
	if deadline, ok := ctx.Deadline(); ok {
		bounded, cancel := context.WithDeadline(ctx, deadline.Add(-margin))
		defer cancel()
		ctx = bounded
	}
	err := json.Unmarshal(payload, &r, json.RejectUnknownMembers(true))
	if err != nil {
		err = fault.New(fault.CodeInvalidRequest, "The event is not a command: {\"action\":…} with the members of that action and no others.")
	} else {
		err = f.do(ctx, r, &out)
	}
	f.explain(ctx, r.Action, err, &out)
	answer, err = json.Marshal(out)
	if err != nil {
		f.Logger.ErrorContext(ctx, "encoding an admin command's answer", "error_type", fmt.Sprintf("%T", err))
		return []byte(`{"error":"The answer could not be encoded.","error_code":"internal"}`), nil
	}
	return answer, nil
}

func (f Function) do(ctx context.Context, r request, out *response) error {
	switch {
	case r.Action == Rewrap:
		return f.rewrap(ctx, r, out)
	case r.Action == Check:
		return f.check(ctx, r, out)
	case !slices.Contains(Actions(), r.Action):
		out.Actions = append(Actions(), Rewrap, Check)
		return fault.New(fault.CodeInvalidRequest, "The event must name one of the actions.")
	}
	reply, err := f.API.Do(ctx, r.Command)
	out.org = reply.OrgID
	switch {
	case err != nil:
		return err
	case reply.ServiceKey != "":
		out.Made = &reply
	default:
		out.Found = &reply
	}
	return nil
}

// part reads which organisation a part of work is about, and its limit.
func (f Function) part(ctx context.Context, r *request, out *response) error {
	org, err := f.API.org(ctx, r.Org)
	if err != nil {
		return err
	}
	out.org, r.Org = org.ID, org.ID
	if r.Limit == 0 {
		r.Limit = standardMoves
	}
	if r.Limit < 0 || r.Limit > maxMoves {
		return fault.New(fault.CodeInvalidRequest, fmt.Sprintf("The limit must be 1 to %d.", maxMoves))
	}
	return nil
}

func (f Function) check(ctx context.Context, r request, out *response) error {
	if err := f.part(ctx, &r, out); err != nil {
		return err
	}
	done, err := f.Inspector.Org(ctx, r.Org, r.Cursor, r.Limit)
	out.Check = &checks{
		Users: done.Users, Credentials: done.Credentials, Secrets: done.Secrets, References: done.References,
		Audit: done.AuditEntries, Findings: []finding{}, Next: done.Next,
	}
	for _, found := range done.Findings {
		k := found.Key
		out.Check.Findings = append(out.Check.Findings, finding{
			Where: fmt.Sprintf("%s %s %s", k.Table, k.Partition, k.Sort), Problem: found.Problem, Remedy: found.Remedy,
		})
	}
	if n := len(done.Findings); n > 0 {
		f.Logger.ErrorContext(ctx, "a check found faults in what is stored", "code", "INTEGRITY", "org", r.Org, "findings", n)
	}
	return err
}

func (f Function) rewrap(ctx context.Context, r request, out *response) error {
	if err := f.part(ctx, &r, out); err != nil {
		return err
	}
	done, err := f.Rewrapper.Org(ctx, r.Org, r.Cursor, r.Limit)
	out.Rewrap = &moves{Moved: done.Moved, Already: done.Already, Refused: done.Refused, Next: done.Next}
	if len(done.Refused) > 0 {
		f.Logger.ErrorContext(ctx, "the key service refuses to move records", "code", "INTEGRITY", "org", r.Org, "records", len(done.Refused))
	}
	return err
}

// explain renders an error: a fault in its own words, the cause in the log only.
// The log has a line of every command.
func (f Function) explain(ctx context.Context, action string, err error, out *response) {
	if err == nil {
		f.Logger.InfoContext(ctx, "an admin command was done", "action", action, "org", out.org)
		return
	}
	shown := httpapi.Classify(err)
	out.Error, out.Code = shown.Message, string(shown.Code)
	f.Logger.ErrorContext(ctx, "an admin command was not done", "action", knownAction(action), "error_code", out.Code,
		"cause", errors.Join(err, shown.Unwrap()))
}

// knownAction keeps any other text out of the log.
func knownAction(action string) string {
	if action == Rewrap || action == Check || slices.Contains(Actions(), action) {
		return action
	}
	return "other"
}
