//go:build unix

// Package account stands for an AWS account in which the template is deployed,
// on one machine and without containers: the real bootstraps, each under its
// Runtime API, each with the variables of the template, a DynamoDB engine
// behind a door that holds each function to the policy of its role, and a KMS
// that holds each to the policy of the key. It is for development and tests;
// when it is closed, nothing of it is left.
package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"credence/shared/envelope/kmstest"
	"credence/shared/lambdahttp/runtimehost"
	"credence/shared/store/dynamo"
)

// Config says what is deployed and on what.
type Config struct {
	Template   []byte            // template.yaml
	Parameters map[string]string // instead of the template's defaults
	Bootstraps string            // the folder that Build filled
	// Environments is how many requests one function serves at once; 0 = 4.
	Environments int
	// KMS holds the key that the template is said to make, of this ARN; nil = a
	// new one with one key.
	KMS    *kmstest.KMS
	KeyARN string
	Engine string // where a DynamoDB engine listens on this machine, as Engine tells
}

const environments = 4

const keyID = "00000000-0000-4000-8000-00000000c0de"

// Account is a deployment. Its methods may be called concurrently.
type Account struct {
	KMS *kmstest.KMS // what every function's calls of KMS reach

	deployed  []Deployed
	functions map[string]*runtimehost.Function
	ledgers   []*ledger // two a function: of the store and of the key
	servers   []*http.Server
}

// Open deploys: it makes the tables and starts listening for the functions'
// calls. Their processes start with their first invocations. Close ends all.
func Open(ctx context.Context, cfg Config) (*Account, error) {
	if cfg.KMS == nil {
		cfg.KMS = kmstest.New()
		cfg.KeyARN = cfg.KMS.AddKey(keyID)
	}
	a := &Account{KMS: cfg.KMS, functions: map[string]*runtimehost.Function{}}
	engine, err := url.Parse(cfg.Engine)
	if err != nil {
		return nil, fmt.Errorf("reading the engine's address: %w", err)
	}
	if a.deployed, err = Read(cfg.Template, cfg.KeyARN, cfg.Parameters); err != nil {
		return nil, err
	}
	tables := dynamo.Tables{
		Meta:  cmp.Or(cfg.Parameters["ExistingMetaTable"], "MetaTable"),
		Vault: cmp.Or(cfg.Parameters["ExistingVaultTable"], "VaultTable"),
		Audit: cmp.Or(cfg.Parameters["ExistingAuditTable"], "AuditTable"),
	}
	if err := dynamo.CreateTables(ctx, dynamo.LocalClient(cfg.Engine), tables); err != nil {
		return nil, err
	}
	for _, d := range a.deployed {
		if err := a.deploy(ctx, cfg, d, engine); err != nil {
			return nil, errors.Join(fmt.Errorf("deploying %s: %w", d.ID, err), a.Close())
		}
	}
	return a, nil
}

func (a *Account) deploy(ctx context.Context, cfg Config, d Deployed, engine *url.URL) error {
	door := newDoor(d, engine)
	key := newKeyDoor(d, a.KMS)
	a.ledgers = append(a.ledgers, door.ledger, key.ledger)
	database, err := a.listen(door)
	if err != nil {
		return err
	}
	keys, err := a.listen(key)
	if err != nil {
		return err
	}
	env := maps.Clone(d.Env)
	maps.Copy(env, map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
		"AWS_ENDPOINT_URL_DYNAMODB": database, "AWS_ENDPOINT_URL_KMS": keys,
	})
	a.functions[d.ID], err = runtimehost.Start(ctx, runtimehost.Config{
		Binary: filepath.Join(cfg.Bootstraps, d.Folder), Env: env,
		Timeout: d.Timeout, MemoryMB: d.MemoryMB, MaxEnvironments: cmp.Or(cfg.Environments, environments),
	})
	return err
}

func (a *Account) listen(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listening for a function's calls: %w", err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	a.servers = append(a.servers, s)
	go func() { _ = s.Serve(l) }() // until Close
	return "http://" + l.Addr().String(), nil
}

// Close ends every process and listener. It may be called again.
func (a *Account) Close() error {
	var faults []error
	for _, f := range a.functions {
		faults = append(faults, f.Close())
	}
	for _, s := range a.servers {
		faults = append(faults, s.Close())
	}
	return errors.Join(faults...)
}

// Deployed lists the functions, sorted by their ids.
func (a *Account) Deployed() []Deployed { return slices.Clone(a.deployed) }

// Invoke invokes a function by its logical id, or by its folder.
func (a *Account) Invoke(ctx context.Context, name string, payload []byte) (runtimehost.Result, error) {
	for _, d := range a.deployed {
		if name == d.ID || name == d.Folder {
			return a.functions[d.ID].Invoke(ctx, payload)
		}
	}
	var all []string
	for _, d := range a.deployed {
		all = append(all, d.Folder)
	}
	return runtimehost.Result{}, fmt.Errorf("there is no function %q; there are %s", name, strings.Join(all, ", "))
}

// Serving is the logical id of the function that serves a route key, or "".
func (a *Account) Serving(routeKey string) string {
	for _, d := range a.deployed {
		if slices.Contains(d.Routes, routeKey) {
			return d.ID
		}
	}
	return ""
}

// Front is the HTTP API in front of the functions.
func (a *Account) Front() (http.Handler, error) {
	var routes []runtimehost.RouteBinding
	for _, d := range a.deployed {
		for _, key := range d.Routes {
			routes = append(routes, runtimehost.RouteBinding{RouteKey: key, Function: a.functions[d.ID]})
		}
	}
	return runtimehost.Front(routes)
}

// Withhold takes a granted right from a function until restore is called, to
// see what it is needed for. It panics on a function that is not deployed.
func (a *Account) Withhold(c Call) (restore func()) {
	set := func(withheld bool) {
		found := false
		for _, l := range a.ledgers {
			if l.function == c.Function {
				l.mu.Lock()
				l.withheld[c] = withheld
				l.mu.Unlock()
				found = true
			}
		}
		if !found {
			panic("account: no function " + c.Function)
		}
	}
	set(true)
	return func() { set(false) }
}

// Calls lists what the functions did on tables and with the key, each once, and
// what the policies kept them from.
func (a *Account) Calls() (made, refused []Call) {
	for _, l := range a.ledgers {
		l.mu.Lock()
		made = slices.AppendSeq(made, maps.Keys(l.made))
		refused = slices.AppendSeq(refused, maps.Keys(l.refused))
		l.mu.Unlock()
	}
	return made, refused
}
