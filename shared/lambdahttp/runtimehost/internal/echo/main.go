// Command echo is a Lambda function to try the host with. It serves the table of
// package rows, or in its raw mode (ECHO_MODE) does what the event orders, failing
// included.
package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"credence/shared/lambdahttp"
	"credence/shared/lambdahttp/internal/rows"
)

func main() {
	switch os.Getenv("ECHO_MODE") {
	case "init-exit":
		fmt.Fprintln(os.Stderr, "init goes wrong")
		os.Exit(3)
	case "raw":
		lambda.Start(raw)
	default:
		lambdahttp.Start(rows.Handler(), lambdahttp.Options{
			Budget: 6 * time.Second,
			Logger: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
		})
	}
}

// order is an event of the raw mode.
type order struct {
	Do   string `json:"do"`
	Size int    `json:"size"`
	Gate string `json:"gate"` // a URL, or "": what is done waits for its answer
}

// said is an answer of the raw mode.
type said struct {
	PID  int               `json:"pid"`
	Env  map[string]string `json:"env"`
	Left int64             `json:"left_ms"` // until the deadline
	Fill string            `json:"fill"`
}

func raw(ctx context.Context, o order) (any, error) {
	deadline, _ := ctx.Deadline()
	fmt.Printf("doing %s\n", o.Do)
	switch o.Do {
	case "panic":
		panic("on purpose")
	case "error":
		return nil, fmt.Errorf("an error on purpose")
	case "exit":
		os.Exit(7)
	case "hang":
		if err := knock(o.Gate); err != nil {
			return nil, err
		}
		<-make(chan struct{})
	case "chatter":
		fmt.Println(strings.Repeat("chatter ", o.Size/8))
	case "gate":
		if err := knock(o.Gate); err != nil {
			return nil, err
		}
	case "bad-answer":
		return map[string]any{"statusCode": "x"}, nil
	case "inferred":
		return map[string]any{"hello": base64.StdEncoding.EncodeToString([]byte("x"))}, nil
	}
	env := map[string]string{}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return said{PID: os.Getpid(), Env: env, Left: time.Until(deadline).Milliseconds(), Fill: strings.Repeat("x", o.Size)}, nil
}

func knock(gate string) error {
	if gate == "" {
		return nil
	}
	resp, err := http.Get(gate)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
