package httpprobe_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/builtin"
	"credence/shared/probe/probetest"
)

// key is the secret of every row: nothing of a result may hold it.
const key = "canary-5f1d0c7e93ab"

type settings map[string]any

// with gives the settings of a credential with an API key, and more.
func with(url string, more settings) settings {
	s := settings{"api_key": key, "base_url": url}
	for name, value := range more {
		s[name] = value
		if value == nil {
			delete(s, name)
		}
	}
	return s
}

func run(t *testing.T, s settings, config probe.Config) probe.Result {
	t.Helper()
	runner := probe.NewRunner(builtin.Probers(), probetest.Loopback(t, nil), config)
	budget := config.Budget
	if budget == 0 {
		budget = probe.Budget
	}
	began := time.Now()
	got := runner.Run(t.Context(), "rest", check(t, s))
	if took := time.Since(began); took > budget+probetest.Slack {
		t.Errorf("the probe took %v of %v", took, budget)
	}
	probetest.Sound(t, got, key, "canary")
	if row, ok := strings.CutPrefix(t.Name(), said); ok {
		words.Keep(strings.ReplaceAll(row, "_", " "), got)
	}
	if testing.Verbose() {
		t.Logf("%s %s %d: %s", got.Code, got.Pointer, got.Status, got.Message)
	}
	return got
}

// web starts a server over TLS; every answer carries foreign text.
func web(t *testing.T, config *tls.Config, handle http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Foreign", probetest.Foreign)
		handle(w, r)
		_, _ = io.WriteString(w, probetest.Foreign+" "+r.Header.Get("X-Api-Key"))
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	if config != nil {
		s.TLS = config
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// pair answers with one status to the right key and with another to any other.
func pair(with, other int, location string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status := other
		if r.Header.Get("X-Api-Key") == key {
			status = with
		}
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(status)
	}
}

func answersBothWays(t *testing.T) {
	ca := probetest.NewAuthority(t)
	good := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	for _, row := range []struct {
		with, without int
		want          probe.Code
		pointer       string
	}{
		{200, 401, probe.CodeOK, ""},
		{204, 403, probe.CodeOK, ""},
		{200, 200, probe.CodeSecretNotTested, "base_url"},
		{200, 204, probe.CodeSecretNotTested, "base_url"},
		{200, 404, probe.CodeOK, ""},
		{200, 302, probe.CodeOK, ""},
		{200, 400, probe.CodeOK, ""},
		{200, 500, probe.CodeTargetUnavailable, ""},
		{200, 429, probe.CodeRateLimited, ""},
		{401, 401, probe.CodeAuthRejected, "api_key"},
		{401, 200, probe.CodeAuthRejected, "api_key"},
		{401, 403, probe.CodeAuthRejected, "api_key"},
		{403, 401, probe.CodeOK, ""},
		{403, 200, probe.CodeSecretNotTested, "base_url"},
		{403, 404, probe.CodeSecretNotTested, "base_url"},
		{403, 403, probe.CodeSecretNotTested, "base_url"},
		{404, 404, probe.CodeSecretNotTested, "base_url"},
		{404, 401, probe.CodeSecretNotTested, "base_url"},
		{405, 405, probe.CodeSecretNotTested, "base_url"},
		{400, 401, probe.CodeSecretNotTested, "base_url"},
		{407, 407, probe.CodeSecretNotTested, "base_url"},
		{302, 302, probe.CodeSecretNotTested, "base_url"},
		{302, 401, probe.CodeSecretNotTested, "base_url"},
		{304, 304, probe.CodeSecretNotTested, "base_url"},
		{500, 500, probe.CodeTargetUnavailable, ""},
		{503, 401, probe.CodeTargetUnavailable, ""},
		{429, 401, probe.CodeRateLimited, ""},
	} {
		t.Run(fmt.Sprintf("%d %d", row.with, row.without), func(t *testing.T) {
			t.Parallel()
			s := web(t, good, pair(row.with, row.without, ""))
			got := run(t, with(s.URL, settings{"tls.ca_certificate": ca.PEM}), probe.Config{})
			pointer := ""
			if row.pointer != "" {
				pointer = "/credentials/" + row.pointer
			}
			if got.Code != row.want || got.Pointer != pointer {
				t.Errorf("got %s at %q, want %s at %q: %s", got.Code, got.Pointer, row.want, pointer, got.Message)
			}
			if got.Verdict == probe.Invalid && got.Status != 403 {
				t.Errorf("status %d, want 403", got.Status)
			}
			if got.Facts["tls_not_after"] == "" || (len(got.Warnings) != 0) != (row.with == 403 && row.without == 401) {
				t.Errorf("facts %v, warnings %v", got.Facts, got.Warnings)
			}
			if got.Code == probe.CodeSecretNotTested && !strings.Contains(got.Message, fmt.Sprint(row.with)) {
				t.Errorf("the message does not name the answer: %s", got.Message)
			}
		})
	}
}

// A refusal that is not for the secret, as some systems word it: one header
// tells it from a 403 that is.
func tooOften(t *testing.T) {
	for name, row := range map[string]struct {
		header, value string
		want          probe.Code
	}{
		"none left":  {"X-RateLimit-Remaining", "0", probe.CodeRateLimited},
		"some left":  {"X-RateLimit-Remaining", "17", probe.CodeOK},
		"none of it": {"RateLimit", `"default";r=0;t=30`, probe.CodeRateLimited},
		"come later": {"Retry-After", "60", probe.CodeRateLimited},
		"no word":    {"X-Other", "0", probe.CodeOK},
	} {
		t.Run(name, func(t *testing.T) {
			s := web(t, nil, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set(row.header, row.value)
				pair(403, 401, "")(w, r)
			})
			if got := run(t, with(s.URL, nil), probe.Config{}); got.Code != row.want {
				t.Errorf("got %s, want %s: %s", got.Code, row.want, got.Message)
			}
		})
	}
}

func rightAndWrongSettings(t *testing.T) {
	ca := probetest.NewAuthority(t)
	other := probetest.NewAuthority(t)
	secure := func(leaf probetest.Leaf) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, leaf)}}
	}
	answer := pair(200, 401, "")
	good := web(t, secure(probetest.Leaf{}), answer).URL
	old := secure(probetest.Leaf{})
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	mutual := secure(probetest.Leaf{})
	mutual.ClientAuth = tls.RequireAnyClientCert
	plain := web(t, nil, answer).URL
	past := probetest.Leaf{NotAfter: time.Now().Add(-time.Hour)}
	future := probetest.Leaf{NotAfter: time.Now().Add(72 * time.Hour)}
	closed := probetest.ClosedPort(t)
	trusted := settings{"tls.ca_certificate": ca.PEM}
	and := func(more settings) settings {
		s := settings{"tls.ca_certificate": ca.PEM}
		for k, v := range more {
			s[k] = v
		}
		return s
	}
	for name, row := range map[string]struct {
		settings settings
		want     probe.Code
		pointer  string
		stage    string // that failed
	}{
		"good":                         {with(good, trusted), probe.CodeOK, "", ""},
		"good by name":                 {with(strings.Replace(good, "127.0.0.1", "localhost", 1), trusted), probe.CodeOK, "", ""},
		"good, any certificate":        {with(good, settings{"ignore.ssl.cert.validation": true}), probe.CodeOK, "", ""},
		"good, plain, listed":          {with(plain, nil), probe.CodeOK, "", ""},
		"good, two authorities":        {with(good, settings{"tls.ca_certificate": other.PEM + "\n" + ca.PEM}), probe.CodeOK, "", ""},
		"wrong key":                    {with(good, and(settings{"api_key": "canary-wrong"})), probe.CodeAuthRejected, "api_key", "auth"},
		"key with a line break":        {with(good, and(settings{"api_key": key + "\n"})), probe.CodeAuthMethodUnsupported, "api_key", "auth"},
		"self-signed":                  {with(good, nil), probe.CodeTLSUntrusted, "tls.ca_certificate", "tls"},
		"another authority":            {with(good, settings{"tls.ca_certificate": other.PEM}), probe.CodeTLSUntrusted, "tls.ca_certificate", "tls"},
		"authority is no PEM":          {with(good, settings{"tls.ca_certificate": "nonsense " + key}), probe.CodeTLSUntrusted, "tls.ca_certificate", "tls"},
		"authority is a key":           {with(good, settings{"tls.ca_certificate": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}), probe.CodeTLSUntrusted, "tls.ca_certificate", "tls"},
		"257 authorities":              {with(good, settings{"tls.ca_certificate": strings.Repeat(ca.PEM, 257)}), probe.CodeTLSUntrusted, "tls.ca_certificate", "tls"},
		"expired":                      {with(web(t, secure(past), answer).URL, trusted), probe.CodeTLSExpired, "", "tls"},
		"not valid yet":                {with(web(t, secure(future), answer).URL, trusted), probe.CodeTLSExpired, "", "tls"},
		"another name":                 {with(web(t, secure(probetest.Leaf{Names: []string{"api.example.com"}}), answer).URL, trusted), probe.CodeTLSNameMismatch, "base_url", "tls"},
		"another name, not verified":   {with(web(t, secure(probetest.Leaf{Names: []string{"api.example.com"}}), answer).URL, settings{"ignore.ssl.cert.validation": true}), probe.CodeOK, "", ""},
		"TLS 1.1 at most":              {with(web(t, old, answer).URL, trusted), probe.CodeTLSUnsupported, "base_url", "tls"},
		"TLS 1.1 at most, unverified":  {with(web(t, old, answer).URL, settings{"ignore.ssl.cert.validation": true}), probe.CodeTLSUnsupported, "base_url", "tls"},
		"asks for a certificate":       {with(web(t, mutual, answer).URL, trusted), probe.CodeClientCertificate, "tls.client_certificate", "protocol"},
		"plain on the TLS port":        {with(strings.Replace(plain, "http:", "https:", 1), trusted), probe.CodeTLSUnsupported, "base_url", "tls"},
		"TLS on the plain port":        {with(strings.Replace(good, "https:", "http:", 1), nil), probe.CodeTLSRequired, "base_url", "protocol"},
		"wrong port":                   {with("https://"+closed, trusted), probe.CodeTCPRefused, "base_url", "tcp"},
		"wrong host":                   {with("https://no-such-host.invalid/", trusted), probe.CodeDNSNotFound, "base_url", "dns"},
		"metadata":                     {with("http://169.254.169.254/latest/meta-data/", nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"metadata over TLS":            {with("https://169.254.169.254/", nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"private":                      {with("https://10.0.0.1/", nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"decimal address":              {with("https://2130706433/", nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"wrapped address":              {with("https://[64:ff9b::a9fe:a9fe]/", nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"a zone":                       {with("https://[fe80::1%25eth0]/", nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"a port of another system":     {with("https://127.0.0.1:22/", nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"plain to the internet":        {with("http://93.184.216.34/", nil), probe.CodeTLSRequired, "base_url", "policy"},
		"user in the address":          {with("https://"+key+":x@127.0.0.1/", nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"fragment":                     {with("https://127.0.0.1/#"+key, nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"empty fragment":               {with("https://127.0.0.1/#", nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"another scheme":               {with("file:///etc/passwd", nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"gopher":                       {with("gopher://127.0.0.1:6379/x", nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"no scheme":                    {with("127.0.0.1:443/"+key, nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"no host":                      {with("https:///x", nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"bad escape":                   {with("https://127.0.0.1/%zz"+key, nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"line break":                   {with("https://127.0.0.1/\r\nX: "+key, nil), probe.CodeDestinationBlocked, "base_url", "policy"},
		"no address":                   {with("", settings{"base_url": nil}), probe.CodeSecretNotTested, "test.url", "policy"},
		"a test request":               {with("https://10.0.0.1", and(settings{"test.url": good, "test.method": "GET"})), probe.CodeOK, "", ""},
		"a test request that is wrong": {with(good, and(settings{"test.url": "https://" + closed})), probe.CodeTCPRefused, "test.url", "tcp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, row.settings, probe.Config{})
			pointer := ""
			if row.pointer != "" {
				pointer = "/credentials/" + row.pointer
			}
			if got.Code != row.want || got.Pointer != pointer {
				t.Errorf("got %s at %q, want %s at %q: %s", got.Code, got.Pointer, row.want, pointer, got.Message)
			}
			if row.stage != "" && probetest.Stage(got, row.stage).Outcome != probe.StageFailed {
				t.Errorf("the stage %s is not the one that failed: %+v", row.stage, got.Stages)
			}
			warned := len(got.Warnings) == 1 && got.Warnings[0].Code == probe.WarnTLSUnverified
			if unverified := row.settings["ignore.ssl.cert.validation"] == true && got.Verdict == probe.Valid; unverified != warned {
				t.Errorf("warnings %v", got.Warnings)
			}
		})
	}
}

// A redirect is not followed: nothing, and so no key, reaches where it leads.
func TestRedirectsAreNotFollowed(t *testing.T) {
	ca := probetest.NewAuthority(t)
	cert := ca.Issue(t, probetest.Leaf{})
	elsewhere := probetest.Serve(t, probetest.Hang)
	for name, location := range map[string]string{
		"same host":  "/elsewhere",
		"other host": "http://" + elsewhere.Addr + "/?k=" + key,
		"by name":    "https://localhost:" + elsewhere.Port + "/",
		"metadata":   "http://169.254.169.254/latest/meta-data/iam/",
		"no address": "http://%zz",
	} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			var paths atomic.Int64
			s := web(t, &tls.Config{Certificates: []tls.Certificate{cert}}, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					paths.Add(1)
				}
				pair(status, status, location)(w, r)
			})
			got := run(t, with(s.URL, settings{"tls.ca_certificate": ca.PEM}), probe.Config{})
			if got.Code != probe.CodeSecretNotTested || !strings.Contains(got.Message, "redirect") {
				t.Errorf("%s, %d: %s, %s", name, status, got.Code, got.Message)
			}
			if paths.Load() != 0 {
				t.Errorf("%s, %d: the redirect was followed", name, status)
			}
		}
	}
	if n := elsewhere.Accepted.Load(); n != 0 {
		t.Errorf("%d connections where the redirect led", n)
	}
}

// Servers that misbehave, plain and behind TLS: each gets a verdict that is
// unknown, in time.
func TestHostileServers(t *testing.T) {
	ca := probetest.NewAuthority(t)
	cert := ca.Issue(t, probetest.Leaf{})
	behindTLS := func(handle func(context.Context, net.Conn)) func(context.Context, net.Conn) {
		return func(ctx context.Context, c net.Conn) {
			secured := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			if secured.HandshakeContext(ctx) == nil {
				handle(ctx, secured)
			}
		}
	}
	reading := func(handle func(context.Context, net.Conn)) func(context.Context, net.Conn) {
		return func(ctx context.Context, c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			handle(ctx, c)
		}
	}
	foreign := probetest.Foreign
	for name, row := range map[string]struct {
		handle func(context.Context, net.Conn)
		want   probe.Code
	}{
		"hangs":                {probetest.Hang, probe.CodeProbeTimeout},
		"closes at once":       {probetest.CloseAtOnce, probe.CodeTCPReset},
		"closes after reading": {reading(probetest.CloseAtOnce), probe.CodeTCPReset},
		"drips its status":     {reading(probetest.Drip("HTTP/1.1 200 " + foreign)), probe.CodeProbeTimeout},
		"drips headers":        {reading(probetest.Drip("HTTP/1.1 200 OK\r\nA: b\r\nC: " + foreign + "\r\nD: ")), probe.CodeProbeTimeout},
		"speaks SSH":           {probetest.Banner("SSH-2.0-OpenSSH_9.2 " + foreign + "\r\n"), probe.CodeProtocolMismatch},
		"speaks SMTP":          {probetest.Banner("220 " + foreign + " ESMTP\r\n"), probe.CodeProtocolMismatch},
		"endless headers":      {reading(probetest.Endless("HTTP/1.1 200 OK\r\n", "X-"+foreign+": "+foreign+"\r\n")), probe.CodeProtocolMismatch},
		"endless status":       {reading(probetest.Endless("HTTP/1.1 200 ", foreign)), probe.CodeProtocolMismatch},
		"endless nonsense":     {probetest.Endless("", foreign), probe.CodeProtocolMismatch},
		"endless zeros":        {probetest.Endless("", "\x00"), probe.CodeProtocolMismatch},
		"endless 103":          {reading(probetest.Endless("", "HTTP/1.1 103 Early\r\nLink: "+foreign+"\r\n\r\n")), probe.CodeProtocolMismatch},
		"endless body":         {reading(probetest.Endless("HTTP/1.1 200 OK\r\n\r\n", foreign)), probe.CodeSecretNotTested},
		"endless 400":          {reading(probetest.Endless("HTTP/1.1 400 Bad\r\n\r\n", foreign)), probe.CodeSecretNotTested},
		"no body, then hangs":  {reading(probetest.Banner("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")), probe.CodeSecretNotTested},
		"gzip bomb":            {reading(probetest.Bomb), probe.CodeSecretNotTested},
		"negative length":      {reading(probetest.Banner("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n")), probe.CodeProtocolMismatch},
		"status 99999":         {reading(probetest.Banner("HTTP/1.1 99999 OK\r\n\r\n")), probe.CodeProtocolMismatch},
		"switches protocols":   {reading(probetest.Banner("HTTP/1.1 101 Switching\r\nUpgrade: " + foreign + "\r\nConnection: Upgrade\r\n\r\n")), probe.CodeProtocolMismatch},
		"HTTP/2 preface":       {probetest.Banner("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), probe.CodeProtocolMismatch},
		"a TLS alert": {reading(func(_ context.Context, c net.Conn) {
			_, _ = io.WriteString(c, "\x15\x03\x01\x00\x02\x02\x46")
		}), probe.CodeTLSRequired},
	} {
		for _, secured := range []bool{false, true} {
			url, handle, want := "http://", row.handle, row.want
			if secured {
				url, handle = "https://", behindTLS(row.handle)
				if row.want == probe.CodeTLSRequired {
					want = probe.CodeProtocolMismatch // inside TLS it is but seven odd bytes
				}
			}
			t.Run(fmt.Sprintf("%s, TLS %v", name, secured), func(t *testing.T) {
				t.Parallel()
				s := probetest.Serve(t, handle)
				got := run(t, with(url+s.Addr, settings{"tls.ca_certificate": ca.PEM}), probe.Config{Budget: 1500 * time.Millisecond})
				if got.Code != want || got.Verdict != probe.Unknown {
					t.Errorf("got %s, want %s: %s %+v", got.Code, want, got.Message, got.Stages)
				}
			})
		}
	}
	// Never as far as TLS, over https.
	for name, row := range map[string]struct {
		handle func(context.Context, net.Conn)
		want   probe.Code
	}{
		"hangs in the handshake":  {probetest.Hang, probe.CodeProbeTimeout},
		"closes in the handshake": {reading(probetest.CloseAtOnce), probe.CodeTCPReset},
		"drips its handshake":     {reading(probetest.Drip("\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")), probe.CodeProbeTimeout},
		"SSH for TLS":             {probetest.Banner("SSH-2.0-OpenSSH_9.2 " + foreign + "\r\n"), probe.CodeProtocolMismatch},
		"HTTP for TLS":            {reading(probetest.Banner("HTTP/1.1 200 OK\r\nX: " + foreign + "\r\n\r\n")), probe.CodeTLSUnsupported},
		"endless zeros for TLS":   {probetest.Endless("", "\x00"), probe.CodeProtocolMismatch},
		"an alert for TLS":        {reading(probetest.Banner("\x15\x03\x01\x00\x02\x02\x28")), probe.CodeTLSUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := probetest.Serve(t, row.handle)
			got := run(t, with("https://"+s.Addr, settings{"tls.ca_certificate": ca.PEM}), probe.Config{Budget: 1500 * time.Millisecond})
			if got.Code != row.want || probetest.Stage(got, "tls").Outcome != probe.StageFailed {
				t.Errorf("got %s, want %s: %+v", got.Code, row.want, got.Stages)
			}
		})
	}
}

// One row with the whole seven seconds.
func TestHangWithTheUsualBudget(t *testing.T) {
	t.Parallel()
	s := probetest.Serve(t, probetest.Hang)
	got := run(t, with("http://"+s.Addr, nil), probe.Config{})
	if got.Code != probe.CodeProbeTimeout || got.Verdict != probe.Unknown {
		t.Errorf("got %s", got.Code)
	}
}

// The second request hangs, though the first was answered: no verdict.
func TestHangWithoutTheKey(t *testing.T) {
	t.Parallel()
	s := web(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != key {
			<-r.Context().Done()
		}
		pair(200, 401, "")(w, r)
	})
	got := run(t, with(s.URL, nil), probe.Config{Budget: time.Second})
	if got.Code != probe.CodeProbeTimeout {
		t.Errorf("got %s", got.Code)
	}
}
