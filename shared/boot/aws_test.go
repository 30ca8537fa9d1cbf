package boot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/logging"
)

func environment(t *testing.T, endpoint string) {
	for name, value := range map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": "not a secret",
		"AWS_ENDPOINT_URL_DYNAMODB": endpoint, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": t.TempDir() + "/none", "AWS_SHARED_CREDENTIALS_FILE": t.TempDir() + "/none",
		"AWS_PROFILE": "", "AWS_DEFAULT_REGION": "", "AWS_RETRY_MODE": "", "AWS_MAX_ATTEMPTS": "", "HTTP_PROXY": "", "http_proxy": "",
	} {
		t.Setenv(name, value)
	}
}

// TestAWS has a real client call an endpoint that fails: the attempts are
// three, and nothing else of the configuration is lost.
func TestAWS(t *testing.T) {
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if got := r.Header.Get("Authorization"); !strings.Contains(got, "Credential=AKIDTEST/") || !strings.Contains(got, "/eu-central-1/") {
			t.Errorf("signed %q, want by AKIDTEST in eu-central-1", got)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	environment(t, server.URL)
	cfg, err := AWS(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, err = dynamodb.NewFromConfig(cfg).ListTables(t.Context(), &dynamodb.ListTablesInput{})
	var exhausted *retry.MaxAttemptsError
	if !errors.As(err, &exhausted) || calls.Load() != 3 {
		t.Errorf("%d attempts, %v; want 3 and the last failure", calls.Load(), err)
	}
}

// TestAWSGivesUp has an endpoint that takes the request and never answers. The
// server's patience ends the test, not a clock.
func TestAWSGivesUp(t *testing.T) {
	gone := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // then net/http watches the connection
		<-r.Context().Done()
		gone <- struct{}{}
	}))
	defer server.Close()
	environment(t, server.URL)
	cfg, err := AWS(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	client := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
	if _, err := client.ListTables(context.WithoutCancel(t.Context()), &dynamodb.ListTablesInput{}); err == nil {
		t.Fatal("no error from an endpoint that never answers")
	}
	<-gone
}

func TestAWSWithoutRegion(t *testing.T) {
	environment(t, "")
	t.Setenv("AWS_REGION", "")
	if _, err := AWS(t.Context(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("error: %v, want one that says what to set", err)
	}
}

// TestAWSReportsInOurForm: a client's report is one line of JSON, without values.
func TestAWSReportsInOurForm(t *testing.T) {
	environment(t, "")
	var out bytes.Buffer
	cfg, err := AWS(t.Context(), Logger(&out, slog.LevelInfo))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger.Logf(logging.Warn, "failed to close %v", "the words of a server")
	cfg.Logger.Logf(logging.Debug, "left out")
	_, line, _ := strings.Cut(out.String(), `"level"`)
	if want := `:"WARN","msg":"the AWS SDK reports","report":"failed to close %v"}` + "\n"; line != want {
		t.Errorf("logged %q, want %q", line, want)
	}
}

func TestHTTPClientBounds(t *testing.T) {
	environment(t, "")
	cfg, err := AWS(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		t.Fatalf("a client of type %T", cfg.HTTPClient)
	}
	transport := client.GetTransport()
	for name, row := range map[string][2]time.Duration{
		"attempt":         {client.GetTimeout(), time.Second},
		"dial":            {client.GetDialer().Timeout, 500 * time.Millisecond},
		"TLS handshake":   {transport.TLSHandshakeTimeout, time.Second},
		"response header": {transport.ResponseHeaderTimeout, time.Second},
		"idle connection": {transport.IdleConnTimeout, 50 * time.Second},
	} {
		if row[0] != row[1] {
			t.Errorf("%s: %v, want %v", name, row[0], row[1])
		}
	}
	if transport.DialContext == nil {
		t.Error("the transport does not use the dialer")
	}
}

// TestBackoff: waits stay below their bound, and differ.
func TestBackoff(t *testing.T) {
	r := Retryer()
	if got := r.MaxAttempts(); got != 3 {
		t.Errorf("%d attempts, want 3", got)
	}
	for attempt, bound := range map[int]time.Duration{
		1: 50 * time.Millisecond, 2: 100 * time.Millisecond, 3: 200 * time.Millisecond, 4: 300 * time.Millisecond, 100: 300 * time.Millisecond,
	} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d, err := r.RetryDelay(attempt, errors.New("any"))
			if err != nil || d < 0 || d >= bound {
				t.Fatalf("attempt %d: %v, %v; want below %v", attempt, d, err, bound)
			}
			seen[d] = true
		}
		if len(seen) < 50 {
			t.Errorf("attempt %d: %d different waits of 100", attempt, len(seen))
		}
	}
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	log := Logger(&out, slog.LevelInfo)
	log.Debug("left out")
	east := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("east", 9*3600))
	record := slog.NewRecord(east, slog.LevelInfo, "a line", 0)
	record.Add("code", 7)
	if err := log.Handler().Handle(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	line := out.String()
	if want := `{"time":"2026-01-01T18:04:05Z","level":"INFO","msg":"a line","code":7}` + "\n"; line != want {
		t.Errorf("logged %q, want %q", line, want)
	}
}
