package gcsprobe_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/builtin"
	gcsprobe "credence/shared/probe/gcs"
	"credence/shared/probe/probetest"
)

func serviceAccounts(t *testing.T) {
	ca := probetest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	key, wrong := newKey(t, 2048), newKey(t, 2048)
	elsewhere := probetest.Serve(t, probetest.Hang)
	file := settings{
		"type": "service_account", "project_id": "my-project", "private_key_id": keyID, "client_email": email, "private_key": pkcs8(t, key),
		"token_uri": "https://oauth2.googleapis.com/token", "auth_uri": "https://accounts.google.com/o/oauth2/auth", "client_id": "1",
	}
	old := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	swapped := file.and(settings{
		"token_uri": "http://" + elsewhere.Addr + "/token", "auth_uri": "http://" + elsewhere.Addr, "universe_domain": elsewhere.Addr,
		"client_x509_cert_url": "http://" + elsewhere.Addr, "auth_provider_x509_cert_url": "http://" + elsewhere.Addr,
		"credential_source": map[string]any{"file": "/proc/self/environ"}, "token_url": "http://" + elsewhere.Addr,
		"service_account_impersonation_url": "http://" + elsewhere.Addr,
	})
	const (
		ok       = probe.CodeOK
		rejected = probe.CodeAuthRejected
		notFound = probe.WarnResourceNotFound
		scope    = probe.WarnScopeMissing
	)
	in := func(bucket string) settings { return settings{"json_creds": file, "bucket": bucket} }
	for name, row := range map[string]struct {
		settings settings
		offset   time.Duration
		want     want
		seen     []string // nil for any
	}{
		"bucket":                    {in(goodBucket), 0, want{code: ok}, []string{"POST /token false", "GET /storage/v1/b/" + goodBucket + "/o true"}},
		"no bucket":                 {settings{"json_creds": file}, 0, want{code: ok}, []string{"POST /token false", "GET /storage/v1/b true"}},
		"no bucket, no project":     {settings{"json_creds": file.and(settings{"project_id": nil})}, 0, want{code: ok}, []string{"POST /token false"}},
		"project of the settings":   {settings{"json_creds": file.and(settings{"project_id": "other"}), "project_id": "my-project"}, 0, want{code: ok}, nil},
		"as text":                   {settings{"json_creds": file.text(t)}, 0, want{code: ok}, nil},
		"as base64":                 {settings{"service_account_key": base64.StdEncoding.EncodeToString([]byte(file.text(t)))}, 0, want{code: ok}, nil},
		"said to be one":            {in(goodBucket).and(settings{"is_service_account": true}), 0, want{code: ok}, nil},
		"PKCS #1":                   {settings{"json_creds": file.and(settings{"private_key": old})}, 0, want{code: ok}, nil},
		"no key id":                 {settings{"json_creds": file.and(settings{"private_key_id": nil})}, 0, want{code: ok}, nil},
		"path":                      {settings{"json_creds": file, "test.path": "gs://" + goodBucket + "/a/b ü"}, 0, want{code: ok}, nil},
		"other addresses in it":     {settings{"json_creds": swapped, "bucket": goodBucket}, 0, want{code: ok}, []string{"POST /token false", "GET /storage/v1/b/" + goodBucket + "/o true"}},
		"public bucket":             {in("open-to-all"), 0, want{code: ok}, nil},
		"clock a little early":      {in(goodBucket), -8 * time.Second, want{code: ok}, nil},
		"missing bucket":            {in("no-such-bucket"), 0, want{ok, "", notFound, "bucket"}, nil},
		"forbidden bucket":          {in("of-somebody-else"), 0, want{ok, "", scope, "bucket"}, nil},
		"forbidden path":            {in(goodBucket).and(settings{"test.path": "denied/x"}), 0, want{ok, "", scope, "bucket"}, nil},
		"forbidden path, no bucket": {settings{"json_creds": file, "test.path": goodBucket + "/denied/x"}, 0, want{ok, "", scope, "test.path"}, nil},
		"payer needed":              {in("payer-needed"), 0, want{ok, "", scope, "bucket"}, nil},
		"forbidden project":         {settings{"json_creds": file, "project_id": "another"}, 0, want{ok, "", scope, "project_id"}, nil},
		"rate limited":              {in("too-many"), 0, want{code: probe.CodeRateLimited}, nil},
		"out of order":              {in("out-of-order"), 0, want{code: probe.CodeTargetUnavailable}, nil},
		"a page":                    {in("a-page"), 0, want{code: probe.CodeProtocolMismatch}, nil},

		"another key":                 {settings{"json_creds": file.and(settings{"private_key": pkcs8(t, wrong)}), "bucket": goodBucket}, 0, want{code: rejected, pointer: "json_creds"}, []string{"POST /token false"}},
		"another key, public bucket":  {settings{"json_creds": file.and(settings{"private_key": pkcs8(t, wrong)}), "bucket": "open-to-all"}, 0, want{code: rejected, pointer: "json_creds"}, []string{"POST /token false"}},
		"another key's id":            {settings{"json_creds": file.and(settings{"private_key_id": "gone"})}, 0, want{code: rejected, pointer: "json_creds"}, nil},
		"another account":             {settings{"json_creds": file.and(settings{"client_email": "x" + email})}, 0, want{code: rejected, pointer: "json_creds"}, nil},
		"clock late":                  {in(goodBucket), 10 * time.Minute, want{code: probe.CodeProbeInternal}, []string{"POST /token false"}},
		"clock early":                 {in(goodBucket), -10 * time.Minute, want{code: probe.CodeProbeInternal}, []string{"POST /token false"}},
		"another key, and clock late": {settings{"json_creds": file.and(settings{"private_key": pkcs8(t, wrong)})}, 10 * time.Minute, want{code: probe.CodeProbeInternal}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t, config, &key.PublicKey, row.offset)
			row.want.hold(t, trial{settings: saved(t, row.settings, ca.PEM), prober: gcsprobe.At(d.URL)}.run(t))
			if row.seen != nil && !slices.Equal(d.seen, row.seen) {
				t.Errorf("requests %q, want %q", d.seen, row.seen)
			}
			if n := elsewhere.Accepted.Load(); n != 0 {
				t.Errorf("%d connections where the key file led", n)
			}
		})
	}
}

func tokens(t *testing.T) {
	ca := probetest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	key := newKey(t, 2048)
	mine := settings{"is_service_account": false, "auth.type": "OAUTH2", "access_token": personal, "project_id": "my-project"}
	bad := settings{"access_token": "ya29.canary-wrong"}
	const (
		ok       = probe.CodeOK
		rejected = probe.CodeAuthRejected
		untested = probe.CodeSecretNotTested
		notFound = probe.WarnResourceNotFound
		scope    = probe.WarnScopeMissing
	)
	// A token that says when it ends is told so, unless another renews it.
	ending := "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE4MDAwMDAwMDB9.canary-signature" // {"exp":1800000000}
	for renewal, end := range map[string]string{"": "2027-01-15T08:00:00Z", "1//canary": ""} {
		d := newDouble(t, config, &key.PublicKey, 0)
		d.tokens[ending] = true
		s := saved(t, mine.and(settings{"access_token": ending, "vendor.refresh_token": renewal}), ca.PEM)
		if got := (trial{settings: s, prober: gcsprobe.At(d.URL)}).run(t); got.Code != ok || got.Facts[probe.FactExpires] != end {
			t.Errorf("%s, facts %v, want the end %q", got.Code, got.Facts, end)
		}
	}
	for name, row := range map[string]struct {
		settings settings
		want     want
	}{
		"bucket":                     {mine.and(settings{"bucket": goodBucket}), want{code: ok}},
		"project":                    {mine, want{code: ok}},
		"vendor's":                   {mine.and(settings{"access_token": nil, "vendor.access_token": personal}), want{code: ok}},
		"public bucket, project":     {mine.and(settings{"bucket": "open-to-all"}), want{code: ok}},
		"public bucket, no project":  {mine.and(settings{"bucket": "open-to-all", "project_id": nil}), want{code: untested, pointer: "bucket"}},
		"missing bucket":             {mine.and(settings{"bucket": "no-such-bucket"}), want{ok, "", notFound, "bucket"}},
		"missing bucket, no project": {mine.and(settings{"bucket": "no-such-bucket", "project_id": nil}), want{code: untested, pointer: "bucket"}},
		"forbidden bucket":           {mine.and(settings{"bucket": "of-somebody-else"}), want{ok, "", scope, "bucket"}},
		"forbidden project":          {mine.and(settings{"project_id": "another"}), want{ok, "", scope, "project_id"}},
		"payer needed, no project":   {mine.and(settings{"bucket": "payer-needed", "project_id": nil}), want{ok, "", scope, "bucket"}},
		"out of order":               {mine.and(settings{"bucket": "out-of-order"}), want{code: probe.CodeTargetUnavailable}},

		"wrong":                 {mine.and(bad).and(settings{"bucket": goodBucket}), want{code: rejected, pointer: "access_token"}},
		"wrong, project":        {mine.and(bad), want{code: rejected, pointer: "access_token"}},
		"wrong, public bucket":  {mine.and(bad).and(settings{"bucket": "open-to-all"}), want{code: rejected, pointer: "access_token"}},
		"wrong, missing bucket": {mine.and(bad).and(settings{"bucket": "no-such-bucket"}), want{code: rejected, pointer: "access_token"}},
		"wrong, vendor's":       {mine.and(settings{"access_token": nil, "vendor.access_token": "ya29.canary-wrong"}), want{code: rejected, pointer: "vendor.access_token"}},
		"run out, renewable":    {mine.and(bad).and(settings{"vendor.refresh_token": "1//canary"}), want{code: untested, pointer: "access_token"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t, config, &key.PublicKey, 0)
			row.want.hold(t, trial{settings: saved(t, row.settings, ca.PEM), prober: gcsprobe.At(d.URL)}.run(t))
			if slices.ContainsFunc(d.seen, func(s string) bool { return strings.Contains(s, "/token") }) {
				t.Errorf("requests %q", d.seen)
			}
		})
	}
}

// What is refused by our own rules, before a name is asked for or an address
// dialled, whatever a record may hold.
func refusedWithoutDialling(t *testing.T) {
	target := probetest.Serve(t, probetest.Hang)
	at := "https://" + target.Addr
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	file := settings{"type": "service_account", "project_id": "my-project", "client_email": email, "private_key": pkcs8(t, newKey(t, 2048)), "token_uri": at}
	with := func(more settings) string { return file.and(more).text(t) }
	const (
		unsupported = probe.CodeAuthMethodUnsupported
		blocked     = probe.CodeDestinationBlocked
		creds       = "json_creds"
	)
	for name, row := range map[string]struct {
		settings settings
		want     want
	}{
		"external account, a file":       {settings{creds: `{"type":"external_account","audience":"//iam","subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":"` + at + `","credential_source":{"file":"/proc/self/environ"}}`}, want{code: unsupported, pointer: creds}},
		"external account, an address":   {settings{creds: `{"type":"external_account","token_url":"` + at + `","credential_source":{"url":"` + at + `"}}`}, want{code: unsupported, pointer: creds}},
		"external account, a program":    {settings{creds: `{"type":"external_account","credential_source":{"executable":{"command":"/bin/sh"}}}`}, want{code: unsupported, pointer: creds}},
		"external account, key and all":  {settings{creds: with(settings{"type": "external_account"})}, want{code: unsupported, pointer: creds}},
		"external account of a person":   {settings{creds: with(settings{"type": "external_account_authorized_user"})}, want{code: unsupported, pointer: creds}},
		"impersonated":                   {settings{creds: with(settings{"type": "impersonated_service_account", "service_account_impersonation_url": at})}, want{code: unsupported, pointer: creds}},
		"authorized user":                {settings{creds: `{"type":"authorized_user","client_id":"x","client_secret":"canary","refresh_token":"canary"}`}, want{code: unsupported, pointer: creds}},
		"gdch":                           {settings{creds: with(settings{"type": "gdch_service_account"})}, want{code: unsupported, pointer: creds}},
		"no type":                        {settings{creds: with(settings{"type": nil})}, want{code: unsupported, pointer: creds}},
		"another case":                   {settings{creds: with(settings{"type": "Service_Account"})}, want{code: unsupported, pointer: creds}},
		"a space behind":                 {settings{creds: with(settings{"type": "service_account "})}, want{code: unsupported, pointer: creds}},
		"two types":                      {settings{creds: `{"type":"service_account","type":"external_account"}`}, want{code: unsupported, pointer: creds}},
		"no JSON":                        {settings{creds: "canary"}, want{code: unsupported, pointer: creds}},
		"an array":                       {settings{creds: "[" + with(nil) + "]"}, want{code: unsupported, pointer: creds}},
		"more behind":                    {settings{creds: with(nil) + "{}"}, want{code: unsupported, pointer: creds}},
		"no address of the account":      {settings{creds: with(settings{"client_email": nil})}, want{code: unsupported, pointer: creds}},
		"address with a line break":      {settings{creds: with(settings{"client_email": email + "\n"})}, want{code: unsupported, pointer: creds}},
		"key id with a line break":       {settings{creds: with(settings{"private_key_id": "x\ny"})}, want{code: unsupported, pointer: creds}},
		"no key":                         {settings{creds: with(settings{"private_key": nil})}, want{code: unsupported, pointer: creds}},
		"key is no PEM":                  {settings{creds: with(settings{"private_key": "canary"})}, want{code: unsupported, pointer: creds}},
		"key is nonsense":                {settings{creds: with(settings{"private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"})}, want{code: unsupported, pointer: creds}},
		"key of a curve":                 {settings{creds: with(settings{"private_key": pkcs8(t, curve)})}, want{code: unsupported, pointer: creds}},
		"key that costs":                 {settings{creds: with(settings{"private_key": strings.Repeat("A\n", 2<<10) + file["private_key"].(string)})}, want{code: unsupported, pointer: creds}},
		"said to be one, and none":       {settings{"is_service_account": true}, want{code: unsupported, pointer: creds}},
		"a client's secret":              {settings{"auth.type": "OAUTH2", "oauth2.client.id": "x", "oauth2.client.secret": "canary", "oauth2.access.token.url": at}, want{code: unsupported, pointer: "auth.type"}},
		"a refresh token alone":          {settings{"auth.type": "OAUTH2", "vendor.refresh_token": "canary"}, want{code: unsupported, pointer: "auth.type"}},
		"nothing":                        {settings{}, want{code: unsupported, pointer: "auth.type"}},
		"token with a line break":        {settings{"access_token": personal + "\r\nX: y", "project_id": "my-project"}, want{code: unsupported, pointer: "access_token"}},
		"token of 9 KiB":                 {settings{"access_token": strings.Repeat("t", 9<<10), "project_id": "my-project"}, want{code: unsupported, pointer: "access_token"}},
		"token, and nothing to try":      {settings{"access_token": personal}, want{code: probe.CodeSecretNotTested, pointer: "project_id"}},
		"bucket: path":                   {settings{creds: with(nil), "bucket": "../../b"}, want{code: blocked, pointer: "bucket"}},
		"bucket: query":                  {settings{creds: with(nil), "bucket": "data?alt=media"}, want{code: blocked, pointer: "bucket"}},
		"bucket: address":                {settings{creds: with(nil), "bucket": at}, want{code: blocked, pointer: "bucket"}},
		"path: no bucket":                {settings{creds: with(nil), "test.path": "gs://../x"}, want{code: blocked, pointer: "test.path"}},
		"project: query":                 {settings{creds: with(nil), "project_id": "x&y=z"}, want{code: blocked, pointer: "project_id"}},
		"is said to be none, and is one": {settings{creds: with(nil), "is_service_account": false}, want{code: unsupported, pointer: "is_service_account"}},
	} {
		t.Run(name, func(t *testing.T) {
			names := &nowhere{}
			got := trial{settings: stored(row.settings), prober: gcsprobe.At(at), resolver: names}.run(t)
			row.want.hold(t, got)
			if probetest.Stage(got, probe.Policy).Outcome != probe.StageFailed {
				t.Errorf("stages %+v", got.Stages)
			}
			if n := target.Accepted.Load(); n != 0 || len(names.asked) != 0 {
				t.Fatalf("%d connections, asked for %q", n, names.asked)
			}
		})
	}
}

// The hosts are Google's, whatever a key file or the environment says.
func TestPinned(t *testing.T) {
	elsewhere := probetest.Serve(t, probetest.Hang)
	for _, name := range []string{"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_API_USE_CLIENT_CERTIFICATE", "GCE_METADATA_HOST", "STORAGE_EMULATOR_HOST", "HTTPS_PROXY", "HTTP_PROXY"} {
		t.Setenv(name, "http://"+elsewhere.Addr)
	}
	file := settings{"type": "service_account", "project_id": "my-project", "client_email": email, "private_key": pkcs8(t, newKey(t, 2048)), "token_uri": "http://" + elsewhere.Addr, "universe_domain": "evil.example"}
	for name, row := range map[string]struct {
		settings settings
		host     string
	}{
		"account": {settings{"json_creds": file, "bucket": goodBucket}, "oauth2.googleapis.com"},
		"token":   {settings{"is_service_account": false, "auth.type": "OAUTH2", "access_token": personal, "bucket": goodBucket, "oauth2.access.token.url": "http://" + elsewhere.Addr}, "storage.googleapis.com"},
	} {
		t.Run(name, func(t *testing.T) {
			names := &nowhere{}
			got := trial{settings: saved(t, row.settings, ""), prober: builtin.Probers()["gcs"], resolver: names}.run(t)
			want{code: probe.CodeDNSNotFound}.hold(t, got)
			if !slices.Equal(names.asked, []string{row.host}) || elsewhere.Accepted.Load() != 0 {
				t.Errorf("asked for %q, %d connections elsewhere", names.asked, elsewhere.Accepted.Load())
			}
		})
	}
	if ports := builtin.Probers()["gcs"].Ports(); len(ports) != 1 || ports[0].From != 443 || ports[0].To != 443 {
		t.Errorf("ports %v", ports)
	}
}

// Doubles that misbehave: what is not Google's own answer proves nothing.
func hostileAnswers(t *testing.T) {
	ca := probetest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	file := settings{"type": "service_account", "client_email": email, "private_key": pkcs8(t, newKey(t, 2048))}
	elsewhere := probetest.Serve(t, probetest.Hang)
	const (
		mismatch = probe.CodeProtocolMismatch
		rejected = probe.CodeAuthRejected
	)
	for name, row := range map[string]struct {
		status int
		body   string
		want   want
	}{
		"a page":                   {200, "<html>" + probetest.Foreign, want{code: mismatch}},
		"nothing":                  {200, "", want{code: mismatch}},
		"no content":               {204, "", want{code: mismatch}},
		"no token":                 {200, `{"id_token":"x"}`, want{code: mismatch}},
		"an empty token":           {200, `{"access_token":""}`, want{code: mismatch}},
		"a number":                 {200, `{"access_token":1}`, want{code: mismatch}},
		"a token of two lines":     {200, `{"access_token":"a\r\nX: y"}`, want{code: mismatch}},
		"a token, but 201":         {201, `{"access_token":"a"}`, want{code: mismatch}},
		"two tokens":               {200, `{"access_token":"a","access_token":"b"}`, want{code: mismatch}},
		"endless":                  {200, `{"access_token":"` + strings.Repeat("a", 70<<10), want{code: mismatch}},
		"a token, and far more":    {200, `{"access_token":"a","x":"` + strings.Repeat("a", 70<<10) + `"}`, want{code: mismatch}},
		"a redirect":               {302, "", want{code: mismatch}},
		"a redirect to post":       {307, "", want{code: mismatch}},
		"401 and a page":           {401, "<html>" + probetest.Foreign, want{code: mismatch}},
		"403 and a page":           {403, "<html>", want{code: mismatch}},
		"400 and no error":         {400, `{}`, want{code: mismatch}},
		"an error that is none":    {400, `{"error":{"code":400}}`, want{code: mismatch}},
		"grant":                    {400, `{"error":"invalid_grant","error_description":"` + probetest.Foreign + `"}`, want{code: rejected, pointer: "json_creds"}},
		"client":                   {401, `{"error":"invalid_client"}`, want{code: rejected, pointer: "json_creds"}},
		"deleted":                  {401, `{"error":"deleted_client"}`, want{code: rejected, pointer: "json_creds"}},
		"disabled":                 {401, `{"error":"disabled_client"}`, want{code: probe.CodeAuthDisabled, pointer: "json_creds"}},
		"a policy":                 {400, `{"error":"admin_policy_enforced"}`, want{code: probe.CodeSecretNotTested, pointer: "json_creds"}},
		"a code of its own":        {400, `{"error":"` + probetest.Foreign + `"}`, want{code: probe.CodeSecretNotTested, pointer: "json_creds"}},
		"too many":                 {429, `{"error":"invalid_grant"}`, want{code: probe.CodeRateLimited}},
		"too many, by code":        {403, `{"error":"rate_limit_exceeded"}`, want{code: probe.CodeRateLimited}},
		"fails":                    {503, "<html>", want{code: probe.CodeTargetUnavailable}},
		"fails, says otherwise":    {500, `{"error":"invalid_grant"}`, want{code: probe.CodeTargetUnavailable}},
		"fails, and gives a token": {500, `{"access_token":"a"}`, want{code: probe.CodeTargetUnavailable}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t, config, nil, 0)
			d.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://"+elsewhere.Addr+"/"+probetest.Foreign)
				w.WriteHeader(row.status)
				_, _ = w.Write([]byte(row.body))
			})
			row.want.hold(t, trial{settings: saved(t, settings{"json_creds": file}, ca.PEM), prober: gcsprobe.At(d.URL)}.run(t))
			if n := elsewhere.Accepted.Load(); n != 0 {
				t.Errorf("%d connections where the redirect led", n)
			}
		})
	}
}

// The same of reads with an access token.
func hostileReads(t *testing.T) {
	ca := probetest.NewAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	const mismatch = probe.CodeProtocolMismatch
	for name, row := range map[string]struct {
		status int
		body   string
		want   want
	}{
		"a page":                    {200, "<html>" + probetest.Foreign, want{code: mismatch}},
		"nothing":                   {200, "", want{code: mismatch}},
		"an empty object":           {200, `{}`, want{code: mismatch}},
		"another kind":              {200, `{"kind":"storage#buckets"}`, want{code: mismatch}},
		"no content":                {204, "", want{code: mismatch}},
		"401 and a page":            {401, "<html>", want{code: mismatch}},
		"401 and another object":    {401, `{"message":"` + probetest.Foreign + `"}`, want{code: mismatch}},
		"401 that says 403":         {401, `{"error":{"code":403}}`, want{code: mismatch}},
		"401":                       {401, `{"error":{"code":401,"errors":[{"reason":"authError"}]}}`, want{code: probe.CodeAuthRejected, pointer: "access_token"}},
		"403 and a page":            {403, "<html>", want{code: mismatch}},
		"403 both ways":             {403, `{"error":{"code":403}}`, want{code: probe.CodeSecretNotTested, pointer: "bucket"}},
		"404 both ways":             {404, `{"error":{"code":404}}`, want{code: probe.CodeSecretNotTested, pointer: "bucket"}},
		"400 both ways":             {400, `{"error":{"code":400}}`, want{code: probe.CodeSecretNotTested, pointer: "bucket"}},
		"a listing both ways":       {200, `{"kind":"storage#objects"}`, want{code: probe.CodeSecretNotTested, pointer: "bucket"}},
		"a listing, and far more":   {200, `{"kind":"storage#objects","x":"` + strings.Repeat("a", 70<<10) + `"}`, want{code: mismatch}},
		"a redirect":                {302, "", want{code: mismatch}},
		"too many, says otherwise":  {429, `{"kind":"storage#objects"}`, want{code: probe.CodeRateLimited}},
		"fails, and gives a list":   {500, `{"kind":"storage#objects"}`, want{code: probe.CodeTargetUnavailable}},
		"403, too many of the user": {403, `{"error":{"code":403,"errors":[{"reason":"rateLimitExceeded"}]}}`, want{code: probe.CodeRateLimited}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t, config, nil, 0)
			d.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(row.status)
				_, _ = w.Write([]byte(row.body))
			})
			mine := settings{"is_service_account": false, "auth.type": "OAUTH2", "access_token": personal, "bucket": goodBucket}
			row.want.hold(t, trial{settings: saved(t, mine, ca.PEM), prober: gcsprobe.At(d.URL)}.run(t))
		})
	}
}

// Servers in Google's place: without its certificate nothing is sent; one that
// hangs or speaks something else gets no verdict, in time.
func hostileServers(t *testing.T) {
	ca := probetest.NewAuthority(t)
	file := settings{"type": "service_account", "client_email": email, "private_key": pkcs8(t, newKey(t, 2048))}
	good := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{})}}
	expired := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{NotAfter: time.Now().Add(-time.Hour)})}}
	named := &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, probetest.Leaf{Names: []string{"oauth2.example.com"}})}}
	key := newKey(t, 2048)
	for name, row := range map[string]struct {
		address string
		ca      string
		want    want
	}{
		"not trusted":    {newDouble(t, good, &key.PublicKey, 0).URL, "", want{code: probe.CodeTLSUntrusted}},
		"expired":        {newDouble(t, expired, &key.PublicKey, 0).URL, ca.PEM, want{code: probe.CodeTLSExpired}},
		"another name":   {newDouble(t, named, &key.PublicKey, 0).URL, ca.PEM, want{code: probe.CodeTLSNameMismatch}},
		"hangs":          {"https://" + probetest.Serve(t, probetest.Hang).Addr, ca.PEM, want{code: probe.CodeProbeTimeout}},
		"closes at once": {"https://" + probetest.Serve(t, probetest.CloseAtOnce).Addr, ca.PEM, want{code: probe.CodeTCPReset}},
		"speaks SSH":     {"https://" + probetest.Serve(t, probetest.Banner("SSH-2.0-x "+probetest.Foreign+"\r\n")).Addr, ca.PEM, want{code: probe.CodeProtocolMismatch}},
		"closed port":    {"https://" + probetest.ClosedPort(t), ca.PEM, want{code: probe.CodeTCPRefused}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.want.hold(t, trial{settings: saved(t, settings{"json_creds": file}, row.ca), prober: gcsprobe.At(row.address), budget: 1500 * time.Millisecond}.run(t))
		})
	}
}
