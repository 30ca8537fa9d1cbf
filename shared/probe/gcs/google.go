package gcsprobe

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/probe"
	"credence/shared/probe/roundtrip"
	"credence/shared/probe/serviceaccount"
	"credence/shared/secret"
)

// The addresses that a probe goes to, whatever a key file names.
const (
	tokenAddress = serviceaccount.TokenAddress
	apiAddress   = "https://storage.googleapis.com/storage/v1/"
)

// readOnly is the scope that reads buckets and objects, and nothing else.
const readOnly = "https://www.googleapis.com/auth/devstorage.read_only"

// google asks Google's two services.
type google struct {
	attempt    *probe.Attempt
	client     *roundtrip.Client
	token, api string // their addresses
}

// answer is what is kept of a response, its text only until it is classified.
type answer struct {
	status int
	body   []byte
	skewed bool   // its clock is not ours
	more   bool   // the body was cut off
	about  string // its Content-Type
}

// skew is what Google tolerates of an assertion's times, or less.
const skew = 4 * time.Minute

// get makes a GET request for an answer that comes whole.
func (g *google) get(ctx context.Context, address string, token secret.Value) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return answer{}, probe.Found(probe.CodeProbeInternal, "")
	}
	return g.send(r, token, 0)
}

// begin makes a GET request for an answer that may be longer than most bytes.
// With first it asks for no more than these, of the file as it is stored.
func (g *google) begin(ctx context.Context, address string, most int, first bool, token secret.Value) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return answer{}, probe.Found(probe.CodeProbeInternal, "")
	}
	if first {
		// One byte more than is wanted tells whether there are more. Who takes
		// gzip gets a file that is kept so as it is, else all of it, unpacked.
		// https://docs.cloud.google.com/storage/docs/transcoding
		r.Header.Set("Range", "bytes=0-"+strconv.Itoa(most))
		r.Header.Set("Accept-Encoding", "gzip")
	}
	return g.send(r, token, most)
}

// send makes a request; most is 0 for an answer that comes whole.
func (g *google) send(r *http.Request, token secret.Value, most int) (answer, error) {
	r.Header.Set("Accept", "application/json")
	if token.Len() > 0 {
		r.Header.Set("Authorization", "Bearer "+token.ExposeText())
	}
	var response *http.Response
	var err error
	more := false
	if most > 0 {
		response, more, err = g.client.Begin(r, most)
	} else {
		response, err = g.client.Do(r)
	}
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	date, err := http.ParseTime(response.Header.Get("Date"))
	skewed := err == nil && time.Since(date).Abs() > skew
	return answer{response.StatusCode, body, skewed, more, response.Header.Get("Content-Type")}, nil
}

var errNotGoogle = probe.Found(probe.CodeProtocolMismatch, "Another service than Google's answered, such as a proxy between this service and Google. Inform the operator of this service.")

// accessToken trades the account's signature for an access token: who gets one
// has proven the key. The error is a Finding.
func (g *google) accessToken(ctx context.Context, a serviceaccount.Account) (secret.Value, error) {
	assertion, err := a.Assertion(readOnly, time.Now())
	if err != nil {
		return secret.Value{}, probe.Found(probe.CodeAuthMethodUnsupported, "The private key in the key file cannot sign. Create a new key for the account.").At(fieldAccount)
	}
	form := url.Values{"grant_type": {serviceaccount.GrantType}, "assertion": {assertion}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.token, strings.NewReader(form.Encode()))
	if err != nil {
		return secret.Value{}, probe.Found(probe.CodeProbeInternal, "")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, err := g.send(r, secret.Value{}, 0)
	if err != nil {
		return secret.Value{}, err
	}
	if got.status != http.StatusOK {
		return secret.Value{}, refusedToken(got)
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(got.body, &token) != nil || !bearer.MatchString(token.AccessToken) {
		return secret.Value{}, errNotGoogle
	}
	return secret.NewText(token.AccessToken), nil
}

// refusedToken reads an error of RFC 6749 §5.2, with Google's own codes.
func refusedToken(got answer) probe.Finding {
	if f, ok := got.unavailable(); ok {
		return f
	}
	var document struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(got.body, &document) != nil {
		return errNotGoogle
	}
	if f, ok := serviceaccount.Refused(document.Error, got.status, got.skewed); ok {
		if f.Code == probe.CodeProbeInternal || f.Code == probe.CodeRateLimited { // not the key's fault
			return f
		}
		return f.At(fieldAccount)
	}
	if document.Error == "" {
		return errNotGoogle
	}
	return probe.Found(probe.CodeSecretNotTested, "Google rejected the sign-in for another reason than the key (status %d). Check the account's standing and the organisation's policies at Google.", got.status).At(fieldAccount)
}

// unavailable are answers that say nothing of a secret.
func (a answer) unavailable() (probe.Finding, bool) {
	switch {
	case a.status == http.StatusTooManyRequests:
		return probe.Found(probe.CodeRateLimited, ""), true
	case a.status >= 500:
		return probe.Found(probe.CodeTargetUnavailable, "Google's service reports a failure of its own (status %d). Try again later.", a.status), true
	}
	return probe.Finding{}, false
}

// kind sorts the answers to a read.
type kind int

const (
	other    kind = iota
	accepted      // it listed
	refused       // the token, or the want of one
	denied        // what is asked for
	missing       // it is not there
)

// outcome is what an answer to a read says.
type outcome struct {
	kind kind
	why  reasons // where it was not served
}

// read lists at most one thing, with a token or without. The error is a
// Finding.
func (g *google) read(ctx context.Context, r read, token secret.Value) (outcome, error) {
	got, err := g.get(ctx, g.api+r.path, token)
	if err != nil {
		return outcome{}, err
	}
	found, err := got.sort()
	if err == nil && found.kind == accepted {
		var listing struct {
			Kind string `json:"kind"`
		}
		if json.Unmarshal(got.body, &listing) != nil || listing.Kind != r.kind {
			return outcome{}, errNotGoogle
		}
	}
	return found, err
}

// sort returns what an answer says. The error is a Finding.
func (a answer) sort() (outcome, error) {
	if f, ok := a.unavailable(); ok {
		return outcome{}, f
	}
	if a.status == http.StatusOK {
		return outcome{kind: accepted}, nil
	}
	why, ok := a.reasons()
	switch {
	case !ok:
		return outcome{}, errNotGoogle
	case a.status == http.StatusForbidden && why.any(limits):
		return outcome{}, probe.Found(probe.CodeRateLimited, "")
	}
	return outcome{a.plainly(), why}, nil
}

// plainly is what the status alone says of a request that was not served.
func (a answer) plainly() kind {
	switch a.status {
	case http.StatusUnauthorized:
		return refused
	case http.StatusForbidden:
		return denied
	case http.StatusNotFound:
		return missing
	}
	return other
}
