package credential

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/access"
	"credence/shared/id"
	"credence/shared/identity"
	"credence/shared/probe"
	"credence/shared/store"
)

// Request is a probe that its caller does not wait for: he asks for its result
// by number.
type Request struct {
	Number  int64
	Started time.Time
	Result  probe.Result
}

// requestTime is how long a result can be asked for by its number.
const requestTime = time.Hour

// ProbeFor is Probe for a caller who asks for the result later. It is as Probe
// in all else: the result is there when it returns.
func (t Tester) ProbeFor(ctx context.Context, who identity.Caller, l *ForProbe) (Request, error) {
	r := Request{Started: t.now()}
	r.Number = id.New(r.Started)
	var err error
	r.Result, err = t.probe(ctx, who, l, r)
	return r, err
}

// keep makes the write of a result that is asked for by number, which belongs
// into the commit of the outcome: none for a Request without one. The credential
// must still be there: its row is written in the same commit, or checked.
func (r Request) keep(c Credential, result probe.Result) ([]store.Write, error) {
	if r.Number == 0 {
		return nil, nil
	}
	text, err := json.Marshal(result, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encoding a probe's result: %w", err)
	}
	a := store.Attributes{"result": string(text)}
	a.SetTime("started", r.Started)
	writes := []store.Write{{
		Verb: store.Put,
		Item: store.Item{Key: requestKey(c.Org, c.ID, r.Number), Attributes: a, Expires: r.Started.Add(requestTime)},
		If:   store.Absent(),
	}}
	if c.rev == 0 {
		writes = append(writes, exists(c))
	}
	return writes, nil
}

// Requested returns what ProbeFor found out. A number that is unknown, or older
// than an hour, is not found.
func (s Service) Requested(ctx context.Context, who identity.Caller, l *ForProbe, number int64) (Request, error) {
	c, _, err := s.open(ctx, who, &l.ForRead, access.Probe)
	if err != nil {
		return Request{}, err
	}
	items, err := s.Store.Get(ctx, requestKey(c.Org, c.ID, number))
	if err != nil {
		return Request{}, err
	}
	if !items[0].Found() {
		return Request{}, notFound(c.ID)
	}
	a := items[0].Attributes
	r := Request{Number: number, Started: a.Time("started")}
	if err := json.Unmarshal([]byte(a.Text("result")), &r.Result); err != nil {
		return Request{}, fmt.Errorf("reading a probe's result: %w", err)
	}
	return r, nil
}
