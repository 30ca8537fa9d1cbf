package httpprobe_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/md5"  // of Digest (RFC 7616)
	"crypto/sha1" // of Apache's password files
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/probetest"
)

// Servers of other makers, which verify what the prober sends by code of their
// own. .ci/servers installs them; a test whose server is missing is skipped, and
// fails in CI.

// installed is the path of a file in .bin or of a program.
func installed(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "..", ".bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(name, "/") {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
		path = filepath.Join("/usr/sbin", name)
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing", name)
		}
		t.Skipf("%s is missing: .ci/servers installs it", name)
	}
	return path
}

// judge starts a program that ends with the test, and returns the first line
// that it prints, "" if it prints none before the port answers.
func judge(t *testing.T, port string, env []string, program string, args ...string) string {
	t.Helper()
	return start(t, port, 20*time.Second, env, program, args...)
}

// start is judge for a program that needs at most wait until its port answers.
func start(t *testing.T, port string, wait time.Duration, env []string, program string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir, c.Env = t.TempDir(), append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	var complaints bytes.Buffer
	c.Stderr = &complaints
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	if port == "" {
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatalf("%s did not start: %s", filepath.Base(program), complaints.String())
		}
		return strings.TrimSpace(line)
	}
	for until := time.Now().Add(wait); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = conn.Close()
			return ""
		}
	}
	t.Fatalf("%s did not start: %s", filepath.Base(program), complaints.String())
	return ""
}

func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(probetest.ClosedPort(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func judged(t *testing.T, name string, s settings, code probe.Code, field string) {
	t.Helper()
	t.Run(name, func(t *testing.T) { expect(t, run(t, s, probe.Config{}), code, field) })
}

func TestApache(t *testing.T) {
	apache, port, folder := installed(t, "apache2"), freePort(t), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil { // Apache drops its rights
			t.Fatal(err)
		}
	}
	for _, open := range []string{filepath.Dir(folder), folder} {
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	sum, digest := sha1.Sum([]byte(key)), md5.Sum([]byte("app:closed:"+key)) // the forms of these files
	write("users.basic", "app:{SHA}"+base64.StdEncoding.EncodeToString(sum[:])+"\n")
	write("users.digest", "app:closed:"+hex.EncodeToString(digest[:])+"\n")
	modules := ""
	for _, m := range []string{"mpm_event", "authn_core", "authz_core", "authn_file", "authz_user", "auth_basic", "auth_digest"} {
		modules += fmt.Sprintf("LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", m, m)
	}
	write("a.conf", modules+`ServerRoot `+folder+`
Listen 127.0.0.1:`+port+`
ServerName localhost
User nobody
Group nogroup
PidFile `+folder+`/pid
ErrorLog /dev/null
DocumentRoot `+folder+`
<Location /basic>
  AuthType Basic
  AuthName closed
  AuthUserFile `+folder+`/users.basic
  Require valid-user
</Location>
<Location /digest>
  AuthType Digest
  AuthName closed
  AuthUserFile `+folder+`/users.digest
  Require valid-user
</Location>
`)
	write("basic", "x")
	write("digest", "x")
	write("ok", "x")
	judge(t, port, nil, apache, "-X", "-d", folder, "-f", filepath.Join(folder, "a.conf"))
	at := func(path, password string) settings {
		return settings{"auth.type": "BASIC", "basic.username": "app", "basic.password": password, "base_url": "http://127.0.0.1:" + port + path}
	}
	judged(t, "Basic", at("/basic", key), probe.CodeOK, "")
	judged(t, "Basic, wrong", at("/basic", key+"x"), probe.CodeAuthRejected, "basic.password")
	judged(t, "Digest", at("/digest", key), probe.CodeAuthMethodUnsupported, "auth.type")
	judged(t, "open", at("/ok", key), probe.CodeSecretNotTested, "base_url")
}

func TestOAuthLib(t *testing.T) {
	python := installed(t, "judges-venv/bin/python")
	script, err := filepath.Abs("testdata/judges/oauth1.py")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://127.0.0.1:" + judge(t, "", nil, python, script, key, "canary-token-secret")
	signed := settings{
		"auth.type": "OAUTH1", "oauth1.consumer.key": "app", "oauth1.consumer.secret": key,
		"oauth1.access.token": "tok", "oauth1.access.token.secret": "canary-token-secret", "test.url": url + "/a%20b?x=%26&y=a%20b",
	}
	for _, method := range []string{"HMAC-SHA1", "HMAC-SHA256", "PLAINTEXT"} {
		s := signed.and(settings{"oauth1.signature.method": method})
		judged(t, method, s, probe.CodeOK, "")
		judged(t, method+", wrong", s.and(settings{"oauth1.consumer.secret": key + "x"}), probe.CodeAuthRejected, "oauth1.consumer.secret")
		judged(t, method+", wrong token", s.and(settings{"oauth1.access.token.secret": "canary-other"}), probe.CodeAuthRejected, "oauth1.consumer.secret")
	}
	form := settings{"test.method": "POST", "test.body": "b=1&a=%2B", "test.content.type": "application/x-www-form-urlencoded"}
	judged(t, "a form", signed.and(form), probe.CodeOK, "")
	judged(t, "a form, wrong", signed.and(form).and(settings{"oauth1.consumer.secret": key + "x"}), probe.CodeAuthRejected, "oauth1.consumer.secret")
}

func TestOIDCProvider(t *testing.T) {
	folder, node := installed(t, "oidc-provider/node_modules"), installed(t, "node")
	script, err := filepath.Abs("testdata/judges/oidc.mjs")
	if err != nil {
		t.Fatal(err)
	}
	private, other := ecKey(t), ecKey(t)
	url := "http://127.0.0.1:" + judge(t, "", nil, node, script, filepath.Dir(folder), key, jwk(t, private))
	client := func(id string, more settings) settings {
		return settings{"auth.type": "OAUTH2", "oauth2.client.id": id, "oauth2.access.token.url": url + "/token", "test.url": url + "/api"}.and(more)
	}
	form := client("form", settings{"oauth2.client.secret": key, "oauth2.client.auth.scheme": "form"})
	judged(t, "form", form, probe.CodeOK, "")
	judged(t, "form, wrong", form.and(settings{"oauth2.client.secret": key + "x"}), probe.CodeAuthRejected, "oauth2.client.secret")
	judged(t, "form, unknown client", form.and(settings{"oauth2.client.id": "nobody"}), probe.CodeAuthRejected, "oauth2.client.secret")
	judged(t, "form, another API", form.and(settings{"test.url": url + "/me"}), probe.CodeTokenRefused, "oauth2.audience")
	basic := client("basic", settings{"oauth2.client.secret": key, "oauth2.client.auth.scheme": "header"})
	judged(t, "header", basic, probe.CodeOK, "")
	judged(t, "header, wrong", basic.and(settings{"oauth2.client.secret": key + "x"}), probe.CodeAuthRejected, "oauth2.client.secret")
	judged(t, "no scheme, wrong", basic.and(settings{"oauth2.client.secret": key + "x", "oauth2.client.auth.scheme": nil}), probe.CodeSecretNotTested, "oauth2.client.auth.scheme")
	signs := client("signs", settings{"oauth2.client.private_key": pemKey(t, private), "oauth2.client.auth.scheme": "private_key_jwt"})
	judged(t, "private_key_jwt", signs, probe.CodeOK, "")
	judged(t, "private_key_jwt, another key", signs.and(settings{"oauth2.client.private_key": pemKey(t, other)}), probe.CodeAuthRejected, "oauth2.client.private_key")
}

// jwk is a public key in the form of RFC 7517.
func jwk(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","x":%q,"y":%q}`, encode(point[1:33]), encode(point[33:]))
}

func TestMiniStack(t *testing.T) {
	program, port := installed(t, "judges-venv/bin/ministack"), freePort(t)
	judge(t, port, []string{
		"AUTH=true", "BIND_HOST=127.0.0.1", "GATEWAY_PORT=" + port, "IOT_MTLS_ENABLED=0",
		"AWS_ACCESS_KEY_ID=AKIAROOT", "AWS_SECRET_ACCESS_KEY=root-1", "TMPDIR=" + t.TempDir(), // of its pid file
	}, program)
	url := "http://127.0.0.1:" + port
	id, secret := makeUser(t, url)
	signed := settings{"auth.type": "AWS_SIGNATURE", "aws.access.key": id, "aws.secret.key": secret, "aws.region": "us-east-1"}
	sts := signed.and(settings{"aws.service": "sts", "test.url": url + "/?Action=GetCallerIdentity&Version=2011-06-15"})
	judged(t, "STS", sts, probe.CodeOK, "")
	judged(t, "STS, wrong", sts.and(settings{"aws.secret.key": secret + "x"}), probe.CodeAuthRejected, "aws.secret.key")
	judged(t, "STS, unknown key", sts.and(settings{"aws.access.key": "AKIANOBODY0000000000"}), probe.CodeAuthRejected, "aws.access.key")
	form := settings{"aws.service": "sts", "test.url": url, "test.method": "POST", "test.body": "Action=GetCallerIdentity&Version=2011-06-15", "test.content.type": "application/x-www-form-urlencoded"}
	judged(t, "STS by POST", signed.and(form), probe.CodeOK, "")
	judged(t, "STS by POST, wrong", signed.and(form).and(settings{"aws.secret.key": secret + "x"}), probe.CodeAuthRejected, "aws.secret.key")
}

// makeUser makes a user with an access key, as the root that is not verified.
func makeUser(t *testing.T, url string) (id, secret string) {
	t.Helper()
	ask := func(query string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(query+"&Version=2010-05-08"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAROOT/20260101/us-east-1/iam/aws4_request, SignedHeaders=host;x-amz-date, Signature=0")
		r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"))
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		var body bytes.Buffer
		_, _ = body.ReadFrom(response.Body)
		return body.String()
	}
	ask("Action=CreateUser&UserName=u")
	made := ask("Action=CreateAccessKey&UserName=u")
	between := func(open, end string) string {
		_, rest, _ := strings.Cut(made, open)
		value, _, _ := strings.Cut(rest, end)
		return value
	}
	if id, secret = between("<AccessKeyId>", "<"), between("<SecretAccessKey>", "<"); id == "" || secret == "" {
		t.Fatalf("no access key was made: %d bytes", len(made))
	}
	return id, secret
}
