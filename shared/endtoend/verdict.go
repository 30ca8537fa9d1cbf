package endtoend

import (
	"net/http"
	"strings"
	"testing"
)

func verdictChecks() []check {
	return []check{
		{"a target that proves nothing is no proof", verdicts},
		{"a redirect is not followed", redirect},
		{"addresses that no probe may reach", blocked},
		{"a name and a word instead of a key", basicAuth},
	}
}

func verdicts(t *testing.T, su *suite) {
	for name, c := range map[string]struct {
		at    func(t *testing.T) string
		codes []string
	}{
		"200 both ways":  {func(t *testing.T) string { return su.target(t, always(http.StatusOK)).URL }, []string{"SECRET_NOT_TESTED"}},
		"204 both ways":  {func(t *testing.T) string { return su.target(t, always(http.StatusNoContent)).URL }, []string{"SECRET_NOT_TESTED"}},
		"302 both ways":  {func(t *testing.T) string { return su.target(t, leads("/elsewhere")).URL }, []string{"SECRET_NOT_TESTED"}},
		"403 both ways":  {func(t *testing.T) string { return su.target(t, always(http.StatusForbidden)).URL }, []string{"SECRET_NOT_TESTED"}},
		"404 both ways":  {func(t *testing.T) string { return su.target(t, always(http.StatusNotFound)).URL }, []string{"SECRET_NOT_TESTED"}},
		"405 both ways":  {func(t *testing.T) string { return su.target(t, always(http.StatusMethodNotAllowed)).URL }, []string{"SECRET_NOT_TESTED"}},
		"500":            {func(t *testing.T) string { return su.target(t, always(http.StatusInternalServerError)).URL }, []string{"TARGET_UNAVAILABLE"}},
		"503":            {func(t *testing.T) string { return su.target(t, always(http.StatusServiceUnavailable)).URL }, []string{"TARGET_UNAVAILABLE"}},
		"429":            {func(t *testing.T) string { return su.target(t, always(http.StatusTooManyRequests)).URL }, []string{"RATE_LIMITED"}},
		"nobody listens": {su.nobody, []string{"TCP_REFUSED"}},
		"closes at once": {func(t *testing.T) string { return su.speaker(t, "") }, []string{"TCP_RESET", "PROTOCOL_MISMATCH"}},
		"another system": {func(t *testing.T) string { return su.speaker(t, "SSH-2.0-OpenSSH_9.2\r\n") }, []string{"PROTOCOL_MISMATCH"}},
		"not trusted":    {func(t *testing.T) string { return su.tlsTarget(t, always(http.StatusOK)).URL }, []string{"TLS_UNTRUSTED"}},
		"TLS where none": {func(t *testing.T) string {
			return strings.Replace(su.target(t, always(http.StatusOK)).URL, "http:", "https:", 1)
		}, []string{"TLS_UNSUPPORTED", "PROTOCOL_MISMATCH"}},
		"no such name": {func(*testing.T) string { return "https://nowhere.invalid/" }, []string{"DNS_NOT_FOUND", "DNS_TIMEOUT"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cred := su.admin.create(t, su.rest(label("proves nothing"), c.at(t), su.leaks.secret()))
			r := cred.probed(t).unknown(t, c.codes...)
			if r.text("message") == "" || strings.Contains(r.text("message"), "dial tcp") {
				t.Errorf("the message is not the service's own: %q", r.text("message"))
			}
			if now := cred.again(t); now.at("verified_status") != nil || now.at("verified_at") != nil {
				t.Error("what proves nothing sets a verdict")
			}
		})
	}
}

func redirect(t *testing.T, su *suite) {
	trap := su.target(t, always(http.StatusOK))
	first := su.target(t, leads(trap.URL+"/next"))
	c := su.admin.create(t, su.rest(label("redirect"), first.URL, su.leaks.secret()))
	c.probed(t)
	if first.asked.Load() == 0 || trap.asked.Load() != 0 {
		t.Errorf("the target was asked %d times, where it leads to %d times", first.asked.Load(), trap.asked.Load())
	}
}

func blocked(t *testing.T, su *suite) {
	for _, address := range []string{
		"http://169.254.169.254/latest/meta-data/", "http://169.254.170.2/v2/credentials", "http://[fd00:ec2::254]/", "http://[::ffff:169.254.169.254]/",
		"http://[64:ff9b::a9fe:a9fe]/", "https://169.254.169.254/", "http://0.0.0.0/", "http://224.0.0.1/", "http://255.255.255.255/",
	} {
		c := su.admin.create(t, su.rest(label("blocked"), address, su.leaks.secret()))
		c.probed(t).unknown(t, "DESTINATION_BLOCKED")
	}
}

func basicAuth(t *testing.T, su *suite) {
	word := su.leaks.secret()
	target := su.target(t, func(w http.ResponseWriter, r *http.Request) {
		if name, got, _ := r.BasicAuth(); name != "loader" || got != word {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	body := func(name, word string) object {
		return object{"name": label("basic"), "credentials_type": "rest", "credentials": object{
			"auth.type": "BASIC", "basic.username": name, "basic.password": word, "test.url": target.URL + "/me", "test.method": "GET",
		}}
	}
	su.admin.create(t, body("loader", word)).probed(t).ok(t).form(t, validForm)
	// Another name on the same host is another principal.
	su.admin.create(t, body("stranger", word)).probed(t).refusedByTarget(t)
}

func unprobed(t *testing.T, su *suite) {
	c := su.admin.create(t, object{"name": label("unprobed"), "credentials_type": "as400", "credentials": object{
		"host": "as400.example.org", "port": 446, "username": "u", "password": su.leaks.secret(),
	}})
	c.probed(t).unknown(t, "NO_PROBE_FOR_TYPE")
	role := su.admin.create(t, object{"name": label("role"), "credentials_type": "s3", "credentials": object{"s3_auth_type": "Instance Role", "bucket": "b-unprobed", "region": "eu-west-1"}})
	role.probed(t).unknown(t, "AUTH_METHOD_UNSUPPORTED")
}

func tryChecks() []check { return []check{{"a probe before saving stores nothing", tryFirst}} }

func tryFirst(t *testing.T, su *suite) {
	const path = "/data_credentials/probe"
	key, name := su.leaks.secret(), label("try")
	su.admin.post(t, path, su.rest(name, su.target(t, wants(key)).URL, key)).ok(t).form(t, validForm)
	su.admin.post(t, path, su.rest(name, su.target(t, wants(key)).URL, su.leaks.secret())).refusedByTarget(t)
	su.admin.post(t, path, su.rest(name, su.target(t, always(http.StatusOK)).URL, su.leaks.secret())).unknown(t, "SECRET_NOT_TESTED")
	su.admin.post(t, path, su.rest(name, su.nobody(t), su.leaks.secret())).unknown(t, "TCP_REFUSED")
	su.admin.post(t, path, object{"name": name, "credentials_type": "rest", "credentials": object{}}).refused(t, http.StatusBadRequest, "")
	su.admin.post(t, path, object{"name": name, "credentials_type": "pigeon", "credentials": object{}}).refused(t, http.StatusBadRequest, "invalid_connector_type", "/credentials_type")
	su.admin.post(t, path, inside(su.s3(name), object{"secret_key": "***"})).refused(t, http.StatusBadRequest, "", "/credentials/secret_key")
	su.admin.post(t, path, raw(`{"name":`)).refused(t, http.StatusBadRequest, "malformed_json")
	if n := len(su.admin.named(t, name)); n != 0 {
		t.Errorf("trying made %d credentials", n)
	}
}
