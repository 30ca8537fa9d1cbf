// Package boot makes what every function's process starts with: its logger and
// its way to AWS. It knows no other room, so it cannot grow into a container of
// parts.
package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
)

// Bounds of a call to AWS. The SDK's own are made for long jobs: 30 s to dial,
// none for the answer, up to 20 s between attempts; a function that is to
// answer within seconds must know sooner that it cannot.
const (
	dialTimeout      = 500 * time.Millisecond
	tlsTimeout       = time.Second
	headerTimeout    = time.Second
	attemptTimeout   = time.Second // all of one exchange, to the last byte
	idleTimeout      = 50 * time.Second
	maxAttempts      = 3
	firstBackoff     = 50 * time.Millisecond
	maxBackoff       = 300 * time.Millisecond
	idleConnsPerHost = 32
)

// Config is the configuration of the SDK, named here for packages that pass it on and
// do not use the SDK.
type Config = aws.Config

// AWS loads the SDK's configuration from the environment, shared files or the
// instance, as config.LoadDefaultConfig does, with time-outs and retries fit
// for requests that a person waits for: an attempt takes at most a second, and
// there are at most three, no more than 300 ms apart. Clients that make their
// own attempts switch the retries off in each call. What the SDK has to report
// goes to log. No region is an error.
func AWS(ctx context.Context, log *slog.Logger) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(httpClient()),
		config.WithRetryer(Retryer),
		config.WithLogger(reports(log)),
	)
	if err != nil {
		return aws.Config{}, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return aws.Config{}, errors.New("loading the AWS configuration: no region: set AWS_REGION")
	}
	return cfg, nil
}

// reports writes what the SDK reports as a line of ours; by itself it writes
// plain text to standard error. The line has the SDK's constant text with its
// verbs, and none of the values, which may be a server's words.
func reports(log *slog.Logger) logging.Logger {
	return logging.LoggerFunc(func(class logging.Classification, format string, _ ...any) {
		level := slog.LevelWarn
		if class == logging.Debug {
			level = slog.LevelDebug
		}
		log.Log(context.Background(), level, "the AWS SDK reports", "report", format)
	})
}

func httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithTimeout(attemptTimeout).
		//nolint:forbidigo // the endpoints of AWS, never a target that a user names
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = tlsTimeout
			t.ResponseHeaderTimeout = headerTimeout
			t.IdleConnTimeout = idleTimeout
			t.MaxIdleConnsPerHost = idleConnsPerHost
		})
}

// Retryer makes three attempts, in the SDK's standard mode but for the waits
// between them: told of a maximum below a second, the SDK always waits that
// maximum, without any jitter. Here a wait is random, and below 300 ms.
func Retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
		o.Backoff = retry.BackoffDelayerFunc(backoff)
	})
}

// backoff is a random part of a bound that doubles with each attempt.
func backoff(attempt int, _ error) (time.Duration, error) {
	bound := maxBackoff
	if attempt >= 1 && attempt < 8 {
		bound = min(maxBackoff, firstBackoff<<(attempt-1))
	}
	return rand.N(bound), nil //nolint:gosec // waits need to differ, not to be secret
}
