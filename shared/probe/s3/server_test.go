package s3probe_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"credence/shared/probe/probetest"
)

// The keys of the server: of its root, and of a user that owns one bucket.
const (
	rootKey, rootSecret = "CANARYROOT0001", "canary-root-4be1f0"
	userKey, userSecret = "CANARYUSER0001", "canary-user-92ac77"
)

// The buckets of the server.
const (
	ownBucket    = "of-root"
	userBucket   = "of-user"
	publicBucket = "of-anybody"
)

// server is versitygw with three buckets and one user, on loopback.
type server struct{ plain, secured string }

// start starts the server, without TLS and with the certificate; it ends with
// the test.
func start(t *testing.T, certificate tls.Certificate) server {
	t.Helper()
	program := find(t)
	folder := t.TempDir()
	cert, key := write(t, folder, certificate)
	data := filepath.Join(folder, "data")
	iam := filepath.Join(folder, "iam")
	for _, f := range []string{data, iam} {
		if err := os.Mkdir(f, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run := func(flags ...string) string {
		address := probetest.ClosedPort(t)
		args := append([]string{"--port", address, "--iam-dir", iam, "--iam-cache-disable", "--quiet"}, flags...)
		c := exec.Command(program, append(args, "posix", data)...)
		c.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+rootKey, "ROOT_SECRET_KEY="+rootSecret)
		c.Dir = folder
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = c.Process.Kill()
			_ = c.Wait()
		})
		wait(t, address)
		return address
	}
	s := server{plain: "http://" + run()}
	admin := exec.Command(program, "admin", "-a", rootKey, "-s", rootSecret, "--endpoint-url", s.plain,
		"create-user", "-a", userKey, "-s", userSecret, "-r", "userplus")
	if out, err := admin.CombinedOutput(); err != nil {
		t.Fatalf("making the user: %v: %s", err, out)
	}
	furnish(t, s.plain)
	s.secured = "https://" + run("--cert", cert, "--key", key)
	return s
}

// find gives the path of the server's program. Where it is missing the test is
// skipped, but in CI.
func find(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../../.bin/versitygw")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	path, err = exec.LookPath("versitygw")
	switch {
	case errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "":
		t.Skip("no versitygw: .ci/install-versitygw installs it")
	case err != nil:
		t.Fatal("no versitygw: .ci/install-versitygw installs it")
	}
	return path
}

func wait(t *testing.T, address string) {
	t.Helper()
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("versitygw did not start")
}

func write(t *testing.T, folder string, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for path, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]},
		key:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// as is a client that signs with the keys.
func as(endpoint, key, secret string) *s3.Client {
	return s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(credentials(key, secret, "")),
	})
}

// furnish makes the buckets.
func furnish(t *testing.T, endpoint string) {
	t.Helper()
	root, user := as(endpoint, rootKey, rootSecret), as(endpoint, userKey, userSecret)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(root.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(ownBucket)}))
	must(root.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(publicBucket)}))
	must(user.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(userBucket)}))
	for _, name := range []string{"in/one", "in/two", "three"} {
		must(root.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(ownBucket), Key: &name, Body: strings.NewReader(probetest.Foreign)}))
	}
	must(root.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: aws.String(publicBucket), Policy: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::` + publicBucket + `"}]}`)}))
}
