//go:build unix

package account

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Filler puts into events what is known only once something runs. An event's
// text may hold these placeholders:
//
//	${ORG}          the id of an organisation
//	${KEY}          a service key of an admin of that organisation
//	${TOKEN}        a new session token of that admin
//	${OTHER_TOKEN}  one of an admin of another organisation
//	${CREDENTIAL}   the id of a new credential of that organisation, whose
//	                secret was changed once, so that it has the versions 1 and 2
//	${SOURCE}       the id of a new data source of that admin with a new credential
//	${SINK}         the same of a data sink
//	${SERVICE_KEY}  the id of a new service key of that admin
//	${ADMIN}        the id of that admin
//	${USER}         the id of a new user of that organisation
//	${TEAM}         the id of a new team of that organisation, without members
//
// Its methods may be called concurrently.
type Filler struct {
	account *Account

	mu    sync.Mutex
	keys  [2]string // of the two organisations
	orgID atomic.Int64
	users atomic.Int64
	teams atomic.Int64
}

// NewFiller makes a filler for an account. The organisations are made when
// first needed.
func NewFiller(a *Account) *Filler { return &Filler{account: a} }

// Fill replaces the placeholders of one event.
func (f *Filler) Fill(ctx context.Context, event []byte) ([]byte, error) {
	text := string(event)
	for _, p := range []struct {
		name string
		make func(context.Context) (string, error)
	}{
		{"${ORG}", f.org},
		{"${KEY}", func(ctx context.Context) (string, error) { return f.Key(ctx, 0) }},
		{"${TOKEN}", func(ctx context.Context) (string, error) { return f.token(ctx, 0) }},
		{"${OTHER_TOKEN}", func(ctx context.Context) (string, error) { return f.token(ctx, 1) }},
		{"${CREDENTIAL}", f.credential},
		{"${SOURCE}", func(ctx context.Context) (string, error) { return f.resource(ctx, "/data_sources") }},
		{"${SINK}", func(ctx context.Context) (string, error) { return f.resource(ctx, "/data_sinks") }},
		{"${SERVICE_KEY}", f.serviceKey},
		{"${ADMIN}", f.adminID},
		{"${USER}", f.user},
		{"${TEAM}", f.team},
	} {
		if !strings.Contains(text, p.name) {
			continue
		}
		value, err := p.make(ctx)
		if err != nil {
			return nil, fmt.Errorf("making what %s stands for: %w", p.name, err)
		}
		text = strings.ReplaceAll(text, p.name, value)
	}
	return []byte(text), nil
}

// Key is the service key of the first (0) or the second (1) organisation.
func (f *Filler) Key(ctx context.Context, which int) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys[which] != "" {
		return f.keys[which], nil
	}
	key, _, err := f.admin(ctx, fmt.Sprintf(`{"action":"org add","another":true,"name":"Organisation %d","email":"admin@org%d.example"}`, which, which))
	f.keys[which] = key
	return key, err
}

// admin invokes the admin function with a command that makes a user, and returns
// the user's key and id.
func (f *Filler) admin(ctx context.Context, command string) (key string, user int64, _ error) {
	res, err := f.account.Invoke(ctx, "admin", []byte(command))
	if err != nil {
		return "", 0, err
	}
	var out struct {
		Made struct {
			Key  string `json:"service_key"`
			User int64  `json:"user_id"`
		} `json:"made"`
	}
	if err := json.Unmarshal(res.Payload, &out); err != nil || out.Made.Key == "" {
		return "", 0, fmt.Errorf("the admin function made no user: %s", res.Log)
	}
	return out.Made.Key, out.Made.User, nil
}

func (f *Filler) user(ctx context.Context) (string, error) {
	org, err := f.org(ctx)
	if err != nil {
		return "", err
	}
	_, id, err := f.admin(ctx, fmt.Sprintf(`{"action":"user add","org":%s,"email":"user%d@org0.example"}`, org, f.users.Add(1)))
	return strconv.FormatInt(id, 10), err
}

// adminID is the id of the admin of the first organisation.
func (f *Filler) adminID(ctx context.Context) (string, error) {
	token, err := f.token(ctx, 0)
	if err != nil {
		return "", err
	}
	var out struct {
		User struct {
			ID int64 `json:"id"`
		} `json:"user"`
	}
	err = f.ask(ctx, "GET /users/current", "/users/current", "Bearer "+token, "", &out)
	return strconv.FormatInt(out.User.ID, 10), err
}

// org is the id of the first organisation, also while it is suspended.
func (f *Filler) org(ctx context.Context) (string, error) {
	if id := f.orgID.Load(); id != 0 {
		return strconv.FormatInt(id, 10), nil
	}
	token, err := f.token(ctx, 0)
	if err != nil {
		return "", err
	}
	var out struct {
		Org struct {
			ID int64 `json:"id"`
		} `json:"org"`
	}
	err = f.ask(ctx, "GET /users/current", "/users/current", "Bearer "+token, "", &out)
	f.orgID.Store(out.Org.ID)
	return strconv.FormatInt(out.Org.ID, 10), err
}

func (f *Filler) token(ctx context.Context, which int) (string, error) {
	key, err := f.Key(ctx, which)
	if err != nil {
		return "", err
	}
	var out struct {
		Token string `json:"access_token"`
	}
	err = f.ask(ctx, "POST /token", "/token", "Basic "+key, "", &out)
	return out.Token, err
}

// credential makes one whose probe comes to an end on any machine: what it
// names is this machine itself, which no probe may reach.
func (f *Filler) credential(ctx context.Context) (string, error) {
	token, err := f.token(ctx, 0)
	if err != nil {
		return "", err
	}
	var out struct {
		ID int64 `json:"id"`
	}
	const body = `{"name":"example","credentials_type":"rest","credentials":{"api_key":"one","base_url":"https://127.0.0.1/"}}`
	if err := f.ask(ctx, "POST /data_credentials", "/data_credentials", "Bearer "+token, body, &out); err != nil {
		return "", err
	}
	id := strconv.FormatInt(out.ID, 10)
	const change = `{"credentials":{"api_key":"two","base_url":"https://127.0.0.1/"}}`
	return id, f.ask(ctx, "PUT /data_credentials/{id}", "/data_credentials/"+id, "Bearer "+token, change, &out)
}

// resource creates a data source or sink and, with it, its credential.
func (f *Filler) resource(ctx context.Context, path string) (string, error) {
	const body = `{"name":"example","data_credentials":{"credentials_type":"rest","credentials":{"api_key":"one","base_url":"https://127.0.0.1/"}}}`
	return f.made(ctx, path, body)
}

func (f *Filler) serviceKey(ctx context.Context) (string, error) {
	return f.made(ctx, "/service_keys", `{"name":"example"}`)
}

// made returns the id of a thing that a POST creates.
func (f *Filler) made(ctx context.Context, path, body string) (string, error) {
	token, err := f.token(ctx, 0)
	if err != nil {
		return "", err
	}
	var out struct {
		ID int64 `json:"id"`
	}
	err = f.ask(ctx, "POST "+path, path, "Bearer "+token, body, &out)
	return strconv.FormatInt(out.ID, 10), err
}

func (f *Filler) team(ctx context.Context) (string, error) {
	token, err := f.token(ctx, 0)
	if err != nil {
		return "", err
	}
	var out struct {
		ID int64 `json:"id"`
	}
	err = f.ask(ctx, "POST /teams", "/teams", "Bearer "+token, fmt.Sprintf(`{"name":"Team %d"}`, f.teams.Add(1)), &out)
	return strconv.FormatInt(out.ID, 10), err
}

// ask sends one request as an event to the function that serves it, and wants
// 200.
func (f *Filler) ask(ctx context.Context, routeKey, path, authorization, body string, out any) error {
	method, _, _ := strings.Cut(routeKey, " ")
	event := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: routeKey, RawPath: path, Body: body,
		Headers: map[string]string{"authorization": authorization, "content-type": "application/json", "host": "localhost"},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey: routeKey, Stage: "$default", RequestID: "example", DomainName: "localhost",
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: method, Path: path, Protocol: "HTTP/1.1", SourceIP: "127.0.0.1"},
		},
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return err
	}
	res, err := f.account.Invoke(ctx, f.account.Serving(routeKey), payload)
	if err != nil {
		return err
	}
	answer, err := Answer(res.Payload)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s was answered %d: %s", routeKey, answer.StatusCode, res.Log)
	}
	return json.Unmarshal([]byte(answer.Body), out)
}

// Answer reads what a function that serves routes answered.
func Answer(payload []byte) (events.APIGatewayV2HTTPResponse, error) {
	var answer events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(payload, &answer, jsontext.AllowInvalidUTF8(true)); err != nil || answer.StatusCode == 0 {
		return answer, errors.New("reading the function's answer: it is no response")
	}
	return answer, nil
}
