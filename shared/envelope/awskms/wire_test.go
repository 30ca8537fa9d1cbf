package awskms_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"credence/shared/boot"
	"credence/shared/envelope"
	"credence/shared/envelope/awskms"
	"credence/shared/envelope/kmstest"
)

var binding = envelope.Binding{Org: 101, Credential: 5008, Version: 3, Type: "gcs"}

func config(endpoint string) aws.Config {
	return aws.Config{
		Region:       "eu-central-1",
		Retryer:      boot.Retryer,
		BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}, nil
		}),
	}
}

// overWire is a keyring of the real client against the handler on loopback.
func overWire(t *testing.T, k *kmstest.KMS, allowed kmstest.Operation, current string, previous ...string) *awskms.Keyring {
	t.Helper()
	server := httptest.NewServer(k.Handler(allowed))
	t.Cleanup(server.Close)
	ring, err := awskms.New(config(server.URL), current, previous...)
	if err != nil {
		t.Fatalf("making the keyring: %v", err)
	}
	return ring
}

func TestConformanceOverTheWire(t *testing.T) {
	for name, ids := range map[string][3]string{
		"single-Region": {"1234abcd-12ab-34cd-56ef-1234567890ab", "0987dcba-09fe-87dc-65ba-ab0987654321", "11111111-12ab-34cd-56ef-1234567890ab"},
		"multi-Region":  {"mrk-current", "mrk-previous", "mrk-foreign"},
	} {
		t.Run(name, func(t *testing.T) {
			kmstest.RunConformance(t, func(t *testing.T) kmstest.Fixture {
				k := kmstest.New(ids[:]...)
				ring := overWire(t, k, kmstest.Everything, ids[0], ids[1])
				return kmstest.Fixture{
					Generator: ring, Decrypter: ring, Rewrapper: ring,
					Foreign:  overWire(t, k, kmstest.GenerateDataKey, ids[2]),
					Previous: overWire(t, k, kmstest.GenerateDataKey, ids[1]),
					Break:    func() { k.SetState(ids[0], kmstest.PendingDeletion) },
				}
			})
		})
	}
}

// inProcess hands requests to the handler without a network, so that the clock
// of a synctest bubble governs timeouts.
type inProcess struct{ handler http.Handler }

func (c inProcess) Do(r *http.Request) (*http.Response, error) {
	recorder, broken := httptest.NewRecorder(), false
	func() {
		defer func() { broken = recover() != nil }()
		c.handler.ServeHTTP(recorder, r)
	}()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if broken {
		return nil, io.ErrUnexpectedEOF
	}
	return recorder.Result(), nil
}

type operation func(ctx context.Context, ring *awskms.Keyring, key envelope.DataKey) error

var operations = map[kmstest.Operation]operation{
	kmstest.GenerateDataKey: func(ctx context.Context, ring *awskms.Keyring, _ envelope.DataKey) error {
		_, err := ring.GenerateDataKey(ctx, binding.EncryptionContext())
		return err
	},
	kmstest.Decrypt: func(ctx context.Context, ring *awskms.Keyring, key envelope.DataKey) error {
		_, err := ring.DecryptDataKey(ctx, key.Wrapped, key.KeyID, binding.EncryptionContext())
		return err
	},
	kmstest.ReEncrypt: func(ctx context.Context, ring *awskms.Keyring, key envelope.DataKey) error {
		_, err := ring.RewrapDataKey(ctx, key.Wrapped, key.KeyID, binding.EncryptionContext())
		return err
	},
}

// TestFaults: one fault is survived by the second attempt, two are not, and
// there is no third. The time is the bubble's: a hung KMS costs no test a second.
func TestFaults(t *testing.T) {
	for name, fault := range map[string]kmstest.Fault{
		"throttled": kmstest.Throttled, "internal": kmstest.Internal, "dependency timeout": kmstest.DependencyTimeout,
		"key unavailable": kmstest.KeyUnavailable, "hang": kmstest.Hang, "lost reply": kmstest.LostReply,
	} {
		for op, call := range operations {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k := kmstest.New("mrk-1")
					cfg := config("http://kms.test")
					cfg.HTTPClient = inProcess{k.Handler(kmstest.Everything)}
					ring, err := awskms.New(cfg, "mrk-1")
					if err != nil {
						t.Fatalf("making the keyring: %v", err)
					}
					key, err := ring.GenerateDataKey(t.Context(), binding.EncryptionContext())
					if err != nil {
						t.Fatalf("generating: %v", err)
					}
					before := k.Calls(op)
					k.Inject(op, fault)
					if err := call(t.Context(), ring, key); err != nil || k.Calls(op)-before != 2 {
						t.Errorf("one fault: %v after %d attempts, want none after 2", err, k.Calls(op)-before)
					}
					before = k.Calls(op)
					k.Inject(op, fault, fault, fault)
					start := time.Now()
					err = call(t.Context(), ring, key)
					if !errors.Is(err, envelope.ErrKMSUnavailable) || errors.Is(err, envelope.ErrOpen) || k.Calls(op)-before != 2 {
						t.Errorf("faults: %v after %d attempts, want ErrKMSUnavailable after 2", err, k.Calls(op)-before)
					}
					if took := time.Since(start); took > 2500*time.Millisecond || fault == kmstest.Hang && took < 2*time.Second {
						t.Errorf("faults: gave up after %v, want both attempts whole and an end within 2.5 s", took)
					}
				})
			})
		}
	}
}

func TestCallersDeadlineIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := kmstest.New("mrk-1")
		cfg := config("http://kms.test")
		cfg.HTTPClient = inProcess{k.Handler(kmstest.Everything)}
		ring, err := awskms.New(cfg, "mrk-1")
		if err != nil {
			t.Fatalf("making the keyring: %v", err)
		}
		k.Inject(kmstest.GenerateDataKey, kmstest.Hang)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err = ring.GenerateDataKey(ctx, binding.EncryptionContext())
		if took := time.Since(start); took != 200*time.Millisecond || k.Calls(kmstest.GenerateDataKey) != 1 {
			t.Errorf("ended after %v and %d attempts, want 200 ms and 1", took, k.Calls(kmstest.GenerateDataKey))
		}
		if !errors.Is(err, envelope.ErrKMSUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want ErrKMSUnavailable and the deadline", err)
		}
	})
}

func TestServerGone(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	ring, err := awskms.New(config(server.URL), "mrk-1")
	if err != nil {
		t.Fatalf("making the keyring: %v", err)
	}
	server.Close()
	_, err = ring.GenerateDataKey(t.Context(), binding.EncryptionContext())
	if !errors.Is(err, envelope.ErrKMSUnavailable) || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("error %v, want ErrKMSUnavailable without the address", err)
	}
}

// TestNotKMS: an answer that is not of the protocol is KMS being away.
func TestNotKMS(t *testing.T) {
	for name, body := range map[string]string{"HTML": "<html>captive portal</html>", "empty": "", "other JSON": `{"a":1}`, "cut off": `{"Plaintext":"AAA`, "not base64": `{"Plaintext":"!"}`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		ring, err := awskms.New(config(server.URL), "mrk-1")
		if err != nil {
			t.Fatalf("making the keyring: %v", err)
		}
		for op, call := range operations {
			err := call(t.Context(), ring, envelope.DataKey{Wrapped: []byte("w"), KeyID: "mrk-1"})
			if !errors.Is(err, envelope.ErrKMSUnavailable) || errors.Is(err, envelope.ErrOpen) {
				t.Errorf("%s answered to %d: %v, want ErrKMSUnavailable", name, op, err)
			}
		}
		server.Close()
	}
}

// TestRightsOverTheWire: a role without the right is a fault of the deployment,
// and no statement about the record.
func TestRightsOverTheWire(t *testing.T) {
	k := kmstest.New("mrk-1")
	key, err := overWire(t, k, kmstest.GenerateDataKey, "mrk-1").GenerateDataKey(t.Context(), binding.EncryptionContext())
	if err != nil {
		t.Fatalf("generating: %v", err)
	}
	for allowed := range operations {
		ring := overWire(t, k, allowed, "mrk-1")
		for op, call := range operations {
			err := call(t.Context(), ring, key)
			if (err == nil) != (op == allowed) || err != nil && !errors.Is(err, envelope.ErrKMSUnavailable) {
				t.Errorf("allowed %d, tried %d: %v", allowed, op, err)
			}
		}
	}
}
