// Package function starts the process of a Lambda function: its environment, the
// configuration of AWS, the store, authentication and the HTTP middleware. What one
// function may reach and another may not (tables, keys, drivers) stays in its main.
package function

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"credence/shared/audit"
	"credence/shared/boot"
	"credence/shared/httpapi"
	"credence/shared/identity"
	"credence/shared/lambdahttp"
	"credence/shared/store"
	"credence/shared/store/dynamo"
)

// Process is what a function is made of. The methods of Environment read its
// variables.
type Process struct {
	boot.Environment
	AWS      boot.Config
	Logger   *slog.Logger
	Store    store.Store       // set by Tables
	Identity *identity.Service // over that store; set by Tables
}

// Start makes the function's handler and serves it to Lambda; it does not return. A
// variable that is missing, and any error, is logged and ends the process with
// status 1.
func Start(handler func(p *Process) (lambda.Handler, error)) {
	p := &Process{Logger: boot.Logger(os.Stderr, slog.LevelInfo)}
	h, err := p.start(context.Background(), handler)
	if err != nil {
		p.Logger.Error("the function cannot start", "cause", err)
		os.Exit(1)
	}
	lambda.Start(h)
}

// start returns every missing variable at once, the region included, and before the
// errors that follow from one.
func (p *Process) start(ctx context.Context, handler func(p *Process) (lambda.Handler, error)) (lambda.Handler, error) {
	var noAWS error
	p.AWS, noAWS = boot.AWS(ctx, p.Logger)
	h, err := handler(p)
	if missing := errors.Join(p.Err(), noAWS); missing != nil {
		return nil, missing
	}
	return h, err
}

// Tables opens the store on the tables that the function has rights to.
func (p *Process) Tables(t dynamo.Tables) {
	p.Store = dynamo.New(dynamo.Client(p.AWS), t)
	p.Identity = identity.New(p.Store, audit.Journal{}, time.Now)
}

// HTTP makes the handler of an HTTP API's events from the function's routes. elsewhere
// is httpapi.Config's; nil for a function that only gets requests of its own routes.
func (p *Process) HTTP(elsewhere func() []string, routes ...[]httpapi.Route) (lambda.Handler, error) {
	h, err := httpapi.Stack(httpapi.Config{
		SignIn: p.Identity, Denials: audit.Refusals{Store: p.Store, Now: time.Now}, Logger: p.Logger, Elsewhere: elsewhere,
	}, routes...)
	if err != nil {
		return nil, err
	}
	return lambdahttp.Handler(h, lambdahttp.Options{Logger: p.Logger}), nil
}
