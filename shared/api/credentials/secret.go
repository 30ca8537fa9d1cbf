package credentials

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/access"
	"credence/shared/credential"
	"credence/shared/httpapi"
	"credence/shared/probe"
)

// Revealing opens secrets for whoever may have them.
type Revealing struct {
	Revealer credential.Revealer
	Copier   credential.Copier
}

// Routes lists the family's routes.
func (a Revealing) Routes() []httpapi.Route {
	return []httpapi.Route{
		httpapi.On("GET "+path+"/credentials", access.Reveal, a.reveal),
		httpapi.On("POST "+path+"/copy", access.Reveal|access.Create, a.copy),
	}
}

func (a Revealing) reveal(ctx context.Context, r *httpapi.Request, l *credential.ForRead) (httpapi.Answer, error) {
	v, err := a.Revealer.Reveal(ctx, r.Caller, l, knownSecret(r))
	if err != nil {
		return httpapi.Answer{}, err
	}
	defer v.Object.Clear() // the answer has a copy, which is cleared once it is sent
	h := http.Header{}
	h.Set("ETag", secretTag(v.Version))
	if v.Object.Len() == 0 {
		return httpapi.Answer{Status: http.StatusNotModified, Header: h}, nil
	}
	return httpapi.Answer{Header: h, Body: jsontext.Value(v.Object.Expose()), Secret: true}, nil
}

// copy reads the options of the published API; the owner of the copy is the caller.
func (a Revealing) copy(ctx context.Context, r *httpapi.Request, l *credential.ForRead) (httpapi.Answer, error) {
	idem, err := r.Idempotency()
	if err != nil {
		return httpapi.Answer{}, err
	}
	options := credential.CopyOptions{Idem: idem}
	if r.HasBody() {
		o, err := r.BodyOf(httpapi.Names{Known: []string{"copy_access_controls"}, Ignored: []string{"owner_id", "org_id"}})
		if err != nil {
			return httpapi.Answer{}, err
		}
		options.Accessors, _ = o.Bool("copy_access_controls")
		if err := o.Err(); err != nil {
			return httpapi.Answer{}, err
		}
	}
	v, err := a.Copier.Copy(ctx, r.Caller, l, options)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return tagged(v, renderer{a.Copier.Editor.Types}.full(v)), nil
}

// Probing proves credentials against the systems they are for.
type Probing struct {
	Tester   credential.Tester
	Switcher credential.Switcher
}

// LogFailed is a Tester's Failed that writes a line to the log. The line has the
// probe's code, which an alarm counts.
func LogFailed(log *slog.Logger) func(credential.Credential, probe.Code, error) {
	return func(c credential.Credential, code probe.Code, err error) {
		log.Error("a probe could not begin", "org", c.Org, "credential", c.ID, "code", string(code), "cause", err)
	}
}

// within bounds a request that probes: the probe takes 7 s at most.
const within = 8 * time.Second

// Routes lists the family's routes.
func (a Probing) Routes() []httpapi.Route {
	routes := []httpapi.Route{
		{Pattern: "POST /data_credentials/probe", Needs: access.Probe, Handle: a.try},
		httpapi.On("POST "+path+"/versions", access.Update|access.Probe, a.propose),
		httpapi.On("POST "+path+"/probe/tree", access.Probe, a.tree),
		httpapi.On("POST "+path+"/probe/sample", access.Probe|access.Reveal, a.sample),
	}
	for _, method := range []string{"GET", "PUT", "POST"} {
		for _, end := range []string{"/probe", "/probe/authenticate"} {
			route := httpapi.On(method+" "+path+end, access.Probe, a.probe)
			route.Query = []string{"async", "request_id"}
			routes = append(routes, route)
		}
	}
	for n := range routes {
		routes[n].Within = within
	}
	return routes
}

// answer gives a result the status that tells released clients what to do: no
// 401, which would make them sign in again, and none that makes them repeat.
func answer(res probe.Result) httpapi.Answer {
	body := resultOf(res)
	if res.Verdict == probe.Valid {
		body.Output = &struct{}{}
		return httpapi.Answer{Body: body}
	}
	return httpapi.Answer{Status: res.Status, Body: body}
}

// asked is the state of a probe that its caller does not wait for. The result
// stands under both names that clients look for.
type asked struct {
	Status   string            `json:"status"` // pending, completed
	Number   int64             `json:"request_id"`
	Started  httpapi.Timestamp `json:"request_started_at"`
	Result   *result           `json:"result,omitzero"`
	Response *result           `json:"response,omitzero"`
}

// probe runs a probe, or answers what an earlier one with this request_id
// found out. With async=true the answer is that number alone.
func (a Probing) probe(ctx context.Context, r *httpapi.Request, l *credential.ForProbe) (httpapi.Answer, error) {
	q := r.Query()
	later, _ := q.Bool("async")
	number, known := q.Int("request_id", 1, 1<<53-1)
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	if known {
		req, err := a.Tester.Requested(ctx, r.Caller, l, number)
		if err != nil {
			return httpapi.Answer{}, err
		}
		res := resultOf(req.Result)
		return httpapi.Answer{Body: asked{"completed", req.Number, httpapi.Timestamp(req.Started), &res, &res}}, nil
	}
	if later {
		req, err := a.Tester.ProbeFor(ctx, r.Caller, l)
		if err != nil {
			return httpapi.Answer{}, err
		}
		return httpapi.Answer{Body: asked{Status: "pending", Number: req.Number, Started: httpapi.Timestamp(req.Started)}}, nil
	}
	res, err := a.Tester.Probe(ctx, r.Caller, l)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return answer(res), nil
}

func (a Probing) try(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	d, err := draft(r)
	if err != nil {
		return httpapi.Answer{}, err
	}
	res, err := a.Tester.Try(ctx, r.Caller, d)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return answer(res), nil
}

// switched is the answer to a proposal: the credential as it is now, or why it
// is as it was.
type switched struct {
	full
	Switched bool   `json:"switched"`
	Probe    result `json:"probe"`
}

type notSwitched struct {
	result
	Switched bool `json:"switched"`
}

func (a Probing) propose(ctx context.Context, r *httpapi.Request, l *credential.ForSwitch) (httpapi.Answer, error) {
	d, err := draft(r)
	if err != nil {
		return httpapi.Answer{}, err
	}
	d.IfMatch = ifMatch(r)
	if d.Idem, err = r.Idempotency(); err != nil {
		return httpapi.Answer{}, err
	}
	v, res, done, err := a.Switcher.Propose(ctx, r.Caller, l, d)
	if err != nil {
		return httpapi.Answer{}, err
	}
	if !done {
		return httpapi.Answer{Status: res.Status, Body: notSwitched{result: resultOf(res)}}, nil
	}
	return tagged(v, switched{full: renderer{a.Tester.Types}.full(v), Switched: true, Probe: resultOf(res)}), nil
}
