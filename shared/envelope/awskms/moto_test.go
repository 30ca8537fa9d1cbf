package awskms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"credence/shared/envelope"
	"credence/shared/envelope/awskms"
)

// The tests of this file speak to moto, a KMS of other hands than kmstest: that
// the real client's requests are such as another reader of the API takes them
// for, and its answers such as we take them for. moto_server is found under the
// name in CREDENCE_MOTO or where .ci/install-moto puts it. Without it they are
// skipped; where CI is set they fail.
//
// What moto cannot prove, and kmstest does: it lets disabled keys and keys
// pending deletion work, knows no key policy, answers no KeyMaterialId, ignores
// SourceKeyId of ReEncrypt, says AccessDeniedException where KMS says
// IncorrectKeyException, cannot decrypt under a multi-Region key, and neither
// throttles nor fails.

// motoRing is a keyring over keys of moto, by ARN, the first one current.
func motoRing(t *testing.T, keys ...string) *awskms.Keyring {
	t.Helper()
	ring, err := awskms.New(config(moto(t)), keys[0], keys[1:]...)
	if err != nil {
		t.Fatalf("making the keyring: %v", err)
	}
	return ring
}

// motoKey makes a key and returns its ARN.
func motoKey(t *testing.T) string {
	t.Helper()
	out, err := kms.NewFromConfig(config(moto(t))).CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	return aws.ToString(out.KeyMetadata.Arn)
}

// idOf is what follows "key/" in an ARN.
func idOf(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

func motoGenerate(t *testing.T, ring *awskms.Keyring) envelope.DataKey {
	t.Helper()
	key, err := ring.GenerateDataKey(t.Context(), binding.EncryptionContext())
	if err != nil {
		t.Fatalf("generating a data key: %v", err)
	}
	return key
}

// motoOpens wants the data key back.
func motoOpens(t *testing.T, what string, ring *awskms.Keyring, wrapped envelope.DataKey, plaintext []byte) {
	t.Helper()
	got, err := ring.DecryptDataKey(t.Context(), wrapped.Wrapped, wrapped.KeyID, binding.EncryptionContext())
	if err != nil || !bytes.Equal(got, plaintext) {
		t.Errorf("%s: %v, or another key", what, err)
	}
}

// motoRefuses wants an OpenError of the cause from Decrypt and ReEncrypt.
func motoRefuses(t *testing.T, what string, cause envelope.Cause, ring *awskms.Keyring, key envelope.DataKey, ec envelope.EncryptionContext) {
	t.Helper()
	plaintext, err := ring.DecryptDataKey(t.Context(), key.Wrapped, key.KeyID, ec)
	rewrapped, again := ring.RewrapDataKey(t.Context(), key.Wrapped, key.KeyID, ec)
	for op, err := range map[string]error{"decrypting": err, "rewrapping": again} {
		var e *envelope.OpenError
		if !errors.As(err, &e) || e.Cause != cause || errors.Is(err, envelope.ErrKMSUnavailable) {
			t.Errorf("%s, %s: error %v, want cause %s", what, op, err, cause)
		}
	}
	if plaintext != nil || rewrapped.Wrapped != nil {
		t.Errorf("%s: a key beside the error", what)
	}
}

func TestMotoRoundTrip(t *testing.T) {
	arn := motoKey(t)
	ring := motoRing(t, arn)
	key := motoGenerate(t, ring)
	if len(key.Plaintext) != 32 || key.KeyID != arn || bytes.Contains(key.Wrapped, key.Plaintext) {
		t.Errorf("a data key of %d bytes under %q, want 32 under %q, and wrapped", len(key.Plaintext), key.KeyID, arn)
	}
	if other := motoGenerate(t, ring); bytes.Equal(other.Plaintext, key.Plaintext) {
		t.Error("a data key came twice")
	}
	for range 2 { // may be called again
		motoOpens(t, "decrypting", ring, key, key.Plaintext)
	}
	motoOpens(t, "on a list that names the key by its id", motoRing(t, idOf(arn)), key, key.Plaintext)
	// The whole of it, as the service does it.
	const text = `{"password":"correct horse"}`
	r, err := envelope.Seal(t.Context(), ring, binding, []byte(text))
	if err != nil {
		t.Fatalf("sealing: %v", err)
	}
	if v, err := envelope.Open(t.Context(), ring, binding, r); err != nil || v.ExposeText() != text {
		t.Errorf("opening: %v, or another text", err)
	}
}

func TestMotoContext(t *testing.T) {
	ring := motoRing(t, motoKey(t))
	key := motoGenerate(t, ring)
	for what, other := range map[string]envelope.Binding{
		"other org":        {Org: 102, Credential: 5008, Version: 3},
		"other credential": {Org: 101, Credential: 5009, Version: 3},
		"other version":    {Org: 101, Credential: 5008, Version: 4},
		"digits moved":     {Org: 1015, Credential: 8, Version: 3},
		"ids swapped":      {Org: 5008, Credential: 101, Version: 3},
	} {
		motoRefuses(t, what, envelope.CauseUnwrap, ring, key, other.EncryptionContext())
	}
	for name := range binding.EncryptionContext() {
		less := binding.EncryptionContext()
		delete(less, name)
		motoRefuses(t, "without "+name, envelope.CauseUnwrap, ring, key, less)
	}
	more := binding.EncryptionContext()
	more["extra"] = "1"
	motoRefuses(t, "one pair more", envelope.CauseUnwrap, ring, key, more)
	motoRefuses(t, "no context", envelope.CauseUnwrap, ring, key, nil)
	key.Wrapped[len(key.Wrapped)-1] ^= 1
	motoRefuses(t, "a flipped bit", envelope.CauseUnwrap, ring, key, binding.EncryptionContext())
}

// TestMotoOtherKey: what is wrapped under a key off the list does not open,
// whichever key id stands beside it.
func TestMotoOtherKey(t *testing.T) {
	ours, theirs := motoKey(t), motoKey(t)
	ring := motoRing(t, ours)
	planted := motoGenerate(t, motoRing(t, theirs))
	motoRefuses(t, "under its own key id", envelope.CauseKeyID, ring, planted, binding.EncryptionContext())
	planted.KeyID = ring.Current()
	plaintext, err := ring.DecryptDataKey(t.Context(), planted.Wrapped, planted.KeyID, binding.EncryptionContext())
	if plaintext != nil || !errors.Is(err, envelope.ErrOpen) && !errors.Is(err, envelope.ErrKMSUnavailable) {
		t.Errorf("under our key id: %d bytes and error %v, want a refusal", len(plaintext), err)
	}
	gone := motoRing(t, strings.TrimSuffix(ours, idOf(ours))+"11111111-12ab-34cd-56ef-1234567890ab")
	if _, err := gone.GenerateDataKey(t.Context(), binding.EncryptionContext()); !errors.Is(err, envelope.ErrKMSUnavailable) {
		t.Errorf("generating under a key that is not there: %v, want ErrKMSUnavailable", err)
	}
}

// TestMotoPreviousKey is the change from one key to the next.
func TestMotoPreviousKey(t *testing.T) {
	previous, current := motoKey(t), motoKey(t)
	before, both, after := motoRing(t, previous), motoRing(t, current, previous), motoRing(t, current)
	old := motoGenerate(t, before)
	motoOpens(t, "under the previous key", both, old, old.Plaintext)
	if fresh := motoGenerate(t, both); fresh.KeyID != current {
		t.Errorf("made under %q, want the current key", fresh.KeyID)
	}
	asCurrent := old
	asCurrent.KeyID = current
	if plaintext, err := both.DecryptDataKey(t.Context(), old.Wrapped, asCurrent.KeyID, binding.EncryptionContext()); err == nil || plaintext != nil {
		t.Error("what the previous key wrapped opens as the current one's")
	}

	moved, err := both.RewrapDataKey(t.Context(), old.Wrapped, old.KeyID, binding.EncryptionContext())
	if err != nil || moved.KeyID != current || moved.Plaintext != nil || bytes.Equal(moved.Wrapped, old.Wrapped) {
		t.Fatalf("rewrapping: %v, under %q", err, moved.KeyID)
	}
	motoOpens(t, "rewrapped", both, moved, old.Plaintext)
	motoOpens(t, "rewrapped, once the previous key left the list", after, moved, old.Plaintext)
	motoOpens(t, "the one before the rewrap", both, old, old.Plaintext)
	motoRefuses(t, "the one before, once the previous key left the list", envelope.CauseKeyID, after, old, binding.EncryptionContext())
	other := binding
	other.Org++
	motoRefuses(t, "rewrapped, for another org", envelope.CauseUnwrap, both, moved, other.EncryptionContext())
}

// running is the one moto of this test binary.
var running = sync.OnceValues(startMoto)

// stopMoto ends it; nil until there is one.
var stopMoto func()

func TestMain(m *testing.M) {
	code := m.Run()
	if stopMoto != nil {
		stopMoto()
	}
	os.Exit(code)
}

// moto returns its endpoint.
func moto(t *testing.T) string {
	t.Helper()
	endpoint, err := running()
	if errors.Is(err, errNoMoto) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return endpoint
}

func motoServer() (string, error) {
	if path := os.Getenv("CREDENCE_MOTO"); path != "" {
		return exec.LookPath(path)
	}
	path, err := filepath.Abs("../../../.bin/moto-venv/bin/moto_server")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", errNoMoto
	}
	return path, nil
}

var errNoMoto = errors.New("no moto_server: .ci/install-moto installs it")

func startMoto() (string, error) {
	path, err := motoServer()
	if err != nil {
		return "", err
	}
	// A port that was free a moment ago may be taken: try again.
	for range 3 {
		var endpoint string
		if endpoint, err = serveMoto(path); err == nil {
			return endpoint, nil
		}
	}
	return "", err
}

func serveMoto(path string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		return "", err
	}
	// The shell ends the server, by its id, once its input closes: by us, or
	// because this process is no more.
	cmd := exec.Command("sh", "-c", `"$1" -H 127.0.0.1 -p "$2" & read -r _; kill $!; wait`, "sh", path, port)
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stop := func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	endpoint := "http://127.0.0.1:" + port
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		_ = conn.Close()
		// The first call loads moto's KMS, which takes longer than an attempt of
		// ours may.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		_, err = kms.NewFromConfig(config(endpoint)).ListKeys(ctx, &kms.ListKeysInput{})
		cancel()
		if err != nil {
			stop()
			return "", fmt.Errorf("starting %s: %w", path, err)
		}
		stopMoto = stop
		return endpoint, nil
	}
	stop()
	return "", fmt.Errorf("starting %s: it does not listen", path)
}
