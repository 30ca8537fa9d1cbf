package endtoend

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// A suite that finds nothing proves nothing: these show that it finds.

func TestLeaksAreFound(t *testing.T) {
	c := newCanaries()
	secret := c.secret() + "\"\n/ü"
	c.watch(secret)
	quoted, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	backwards := []rune(secret)
	slices.Reverse(backwards)
	for name, leak := range map[string]string{
		"as it is":        secret,
		"in JSON":         string(quoted),
		"in a query":      url.QueryEscape(secret),
		"in a path":       url.PathEscape(secret),
		"in hexadecimal":  hex.EncodeToString([]byte(secret)),
		"in capitals":     strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"backwards":       string(backwards),
		"base64":          base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64, shifted": base64.StdEncoding.EncodeToString([]byte("a" + secret + "zz")),
		"base64, further": base64.URLEncoding.EncodeToString([]byte("ab" + secret + "z")),
	} {
		if !c.in([]byte("before " + leak + " after")) {
			t.Errorf("%s: a leak goes unseen", name)
		}
	}
	if c.in([]byte("before " + random() + random() + " after")) {
		t.Error("a leak is seen where none is")
	}
}

func TestShapesRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		of   shape
		text string
		ok   bool
	}{
		"an integer":         {integer, `9007199254740991`, true},
		"beyond 2^53":        {integer, `9007199254740992`, false},
		"a fraction":         {integer, `1.0`, false},
		"an id of zero":      {id, `0`, false},
		"a time":             {timestamp, `"2031-01-15T20:24:25.209Z"`, true},
		"no milliseconds":    {timestamp, `"2031-01-15T20:24:25Z"`, false},
		"microseconds":       {timestamp, `"2031-01-15T20:24:25.209123Z"`, false},
		"another zone":       {timestamp, `"2031-01-15T20:24:25.209+01:00"`, false},
		"no day":             {timestamp, `"2031-02-30T20:24:25.209Z"`, false},
		"an empty time":      {timestamp.or(null), `""`, false},
		"null for a time":    {timestamp.or(null), `null`, true},
		"null for a text":    {text, `null`, false},
		"a number for text":  {text, `1`, false},
		"null for an array":  {list(text), `null`, false},
		"a wrong element":    {list(text), `["a",1]`, false},
		"two roles":          {roles, `["owner","admin"]`, false},
		"an unknown role":    {roles, `["king"]`, false},
		"one role":           {roles, `["owner"]`, true},
		"a missing field":    {fields{"a": text}.shape(), `{}`, false},
		"a further field":    {fields{"a": text}.shape(), `{"a":"","b":1}`, true},
		"exactly, further":   {fields{"a": text}.exactly(), `{"a":"","b":1}`, false},
		"a connector of {}":  {connectorForm, `{}`, false},
		"a connector null":   {connectorForm, `null`, true},
		"credentials, deep":  {anyObject.without("credentials"), `{"a":[{"credentials":{}}]}`, false},
		"the good status":    {statusForm, `"200 Ok"`, true},
		"another 200":        {statusForm, `"200 OK"`, false},
		"a refusal":          {statusForm, `"403 The key was refused."`, true},
		"a status alone":     {statusForm, `"403"`, false},
		"a long status":      {statusForm, `"403 ` + strings.Repeat("x", 1021) + `"`, false},
		"an empty status":    {statusForm, `""`, false},
		"an incomplete form": {fullForm, `{"id":1}`, false},
	} {
		v, err := decode([]byte(c.text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if faults := c.of("", v); (len(faults) == 0) != c.ok {
			t.Errorf("%s: %q", name, faults)
		}
	}
	for _, text := range []string{`{"a":1,"a":2}`, "\"\xff\"", `{} {}`, ``, `{"a":1,}`} {
		if _, err := decode([]byte(text)); err == nil {
			t.Errorf("%q is taken for strict JSON", text)
		}
	}
}

func TestTargetsBehave(t *testing.T) {
	su := &suite{Service: Service{Targets: "127.0.0.1"}, leaks: newCanaries()}
	client := &http.Client{Timeout: 300 * time.Millisecond, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(address, key string) int {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			req.Header.Set("X-Api-Key", key)
		}
		res, err := client.Do(req)
		if err != nil {
			return 0
		}
		defer func() { _ = res.Body.Close() }()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return -1
		}
		return res.StatusCode
	}
	for name, c := range map[string]struct {
		behaves            http.HandlerFunc
		right, wrong, none int
	}{
		"wants":   {wants("good"), 200, 401, 401},
		"forbids": {forbids("good"), 200, 403, 401},
		"always":  {always(204), 204, 204, 204},
		"echoes":  {echoes, 401, 401, 401},
		"leads":   {leads("/x"), 302, 302, 302},
		"hangs":   {hangs, 0, 0, 0},
		"drips":   {drips, -1, -1, -1},
		"slowly":  {slowly(time.Millisecond, wants("good")), 200, 401, 401},
	} {
		tg := su.target(t, c.behaves)
		if right, wrong, none := ask(tg.URL, "good"), ask(tg.URL, "bad"), ask(tg.URL, ""); right != c.right || wrong != c.wrong || none != c.none {
			t.Errorf("%s answers %d, %d and %d", name, right, wrong, none)
		}
		if tg.asked.Load() != 3 {
			t.Errorf("%s counts %d of 3 requests", name, tg.asked.Load())
		}
	}
	for name, address := range map[string]string{
		"nobody": su.nobody(t), "speaker": su.speaker(t, "hello\r\n"), "silence": su.speaker(t, ""), "TLS untrusted": su.tlsTarget(t, always(200)).URL,
	} {
		if code := ask(address, ""); code != 0 {
			t.Errorf("%s answers %d", name, code)
		}
	}
}
