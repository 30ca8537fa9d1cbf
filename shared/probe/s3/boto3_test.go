package s3probe_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	connector "credence/shared/connector/s3"
	"credence/shared/probe/probetest"
	s3probe "credence/shared/probe/s3"
)

// boto3 is an independent client, a program that answers one line with another.
type boto3 struct {
	in  io.Writer
	out *bufio.Scanner
}

// venv gives the path of a program that .ci/install-moto installs. Where it is
// missing the test is skipped, but in CI.
func venv(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("../../../.bin/moto-venv/bin/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if os.Getenv("CI") != "" {
			t.Fatal("no boto3: .ci/install-moto installs it")
		}
		t.Skip("no boto3: .ci/install-moto installs it")
	}
	return path
}

// run starts a program without this process's environment; it ends with the test.
func run(t *testing.T, c *exec.Cmd, env ...string) {
	t.Helper()
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}, env...)
	probetest.EndWithTest(c)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
}

func startBoto3(t *testing.T) *boto3 {
	t.Helper()
	c := exec.Command(venv(t, "python"), "testdata/boto3/client.py")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	run(t, c, "RES_OPTIONS=timeout:1 attempts:1")
	return &boto3{in, bufio.NewScanner(out)}
}

// asked is a line of input: a credential, and what to do with it.
type asked struct {
	Endpoint string `json:"endpoint"`
	Verify   string `json:"verify"`
	Key      string `json:"key"`
	Secret   string `json:"secret"`
	Do       string `json:"do"`
	Bucket   string `json:"bucket"`
	Prefix   string `json:"prefix"`
}

func (b *boto3) do(t *testing.T, a asked, into any) {
	t.Helper()
	line, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.in.Write(append(line, '\n')); err != nil || !b.out.Scan() {
		t.Fatalf("boto3 ended: %v", err)
	}
	if err := json.Unmarshal(b.out.Bytes(), into); err != nil {
		t.Fatalf("boto3 answered %s", b.out.Bytes())
	}
}

// both lists with boto3 and with the prober.
func (b *boto3) both(t *testing.T, a asked, authority string) (theirs, ours string) {
	t.Helper()
	var listed bool
	a.Do = "list"
	b.do(t, a, &listed)
	s := settings{"endpoint": a.Endpoint, "access_key": a.Key, "secret_key": a.Secret, "bucket": a.Bucket, "tls.ca_certificate": authority}
	if a.Prefix != "" {
		s["test.path"] = a.Bucket + "/" + a.Prefix
	}
	return probetest.Word(listed), probetest.Word(probetest.Admits(t, connector.Type(), s3probe.Prober{}, s))
}

// names compares buckets and prefixes, at any store.
func (b *boto3) names(t *testing.T, store string, a asked, authority string) {
	t.Run("buckets", func(t *testing.T) {
		probetest.Compare(t, store, "buckets", func(t *testing.T, value string) (theirs, ours string) {
			named, made := a, false
			named.Bucket, named.Do = value, "create"
			b.do(t, named, &made) // there is none of a name that the store does not take
			return b.both(t, named, authority)
		})
	})
	t.Run("prefixes", func(t *testing.T) {
		named, made := a, false
		named.Bucket, named.Do = "compared", "create"
		if b.do(t, named, &made); !made {
			t.Fatal("the bucket was not made")
		}
		probetest.Compare(t, store, "prefixes", func(t *testing.T, value string) (theirs, ours string) {
			named.Prefix = value
			return b.both(t, named, authority)
		})
	})
}

// versitygw is compared on all values.
func TestBoto3AtVersitygw(t *testing.T) {
	b := startBoto3(t)
	ca := probetest.NewAuthority(t)
	gateway := start(t, ca.Issue(t, probetest.Leaf{}))
	verify := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(verify, []byte(ca.PEM), 0o600); err != nil {
		t.Fatal(err)
	}
	root := asked{Endpoint: gateway.secured, Verify: verify, Key: rootKey, Secret: rootSecret}
	port := gateway.secured[strings.LastIndexByte(gateway.secured, ':')+1:]
	over, _ := strconv.Atoi(port)
	fill := []string{"PORT", port, "OVER", strconv.Itoa(over + 1<<16)}

	b.names(t, "versitygw", root, ca.PEM)
	t.Run("secrets", func(t *testing.T) {
		probetest.Compare(t, "versitygw", "passwords", func(t *testing.T, value string) (theirs, ours string) {
			stored, _, _ := strings.Cut(value, "\x00")
			admin := exec.Command(find(t), "admin", "-a", rootKey, "-s", rootSecret, "--endpoint-url", gateway.plain, "update-user", "-a", userKey, "-s", stored)
			if out, err := admin.CombinedOutput(); err != nil {
				t.Fatalf("%q: %v: %s", value, err, out)
			}
			user := root
			user.Key, user.Secret, user.Bucket = userKey, value, userBucket
			theirs, ours = b.both(t, user, ca.PEM)
			for _, other := range []string{value + "x", strings.TrimSpace(value)} {
				if user.Secret = other; other != value {
					x, y := b.both(t, user, ca.PEM)
					theirs, ours = theirs+x, ours+y
				}
			}
			return theirs, ours
		})
	})
	t.Run("hosts", func(t *testing.T) {
		probetest.Compare(t, "versitygw", "hosts", func(t *testing.T, value string) (theirs, ours string) {
			there := root
			there.Endpoint = "https://" + value + ":" + port
			return b.both(t, there, ca.PEM)
		}, fill...)
	})
	t.Run("ports", func(t *testing.T) {
		probetest.Compare(t, "versitygw", "ports", func(t *testing.T, value string) (theirs, ours string) {
			there := root
			there.Endpoint = "https://127.0.0.1:" + value
			return b.both(t, there, ca.PEM)
		}, fill...)
	})
}

// moto makes secret keys itself.
func TestBoto3AtMoto(t *testing.T) {
	b := startBoto3(t)
	address := probetest.ClosedPort(t)
	port := address[strings.LastIndexByte(address, ':')+1:]
	c := exec.Command(venv(t, "moto_server"), "-H", "127.0.0.1", "-p", port)
	run(t, c, "INITIAL_NO_AUTH_ACTION_COUNT=3")
	wait(t, address)
	root := asked{Endpoint: "http://" + address, Key: "any", Secret: "any", Do: "user"}
	var made [2]string
	b.do(t, root, &made)
	root.Key, root.Secret = made[0], made[1]
	b.names(t, "moto", root, "")
}
