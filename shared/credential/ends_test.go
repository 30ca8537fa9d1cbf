package credential_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"credence/shared/access"
	"credence/shared/credential"
	"credence/shared/probe"
)

// Times as facts tell them, and what the clock of a test begins at.
const (
	april = "2026-04-01T00:00:00Z"
	may   = "2026-05-01T00:00:00Z"
	june  = "2026-06-01T00:00:00Z"
)

func facts(secret, certificate string) map[string]string {
	f := map[string]string{"server_version": "16", probe.FactExpires: secret, probe.FactCertificateEnd: certificate}
	maps.DeleteFunc(f, func(_, v string) bool { return v == "" })
	return f
}

// told renders ends as facts are.
func told(e credential.Ends) [2]string {
	text := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return at.Format(time.RFC3339)
	}
	return [2]string{text(e.Secret), text(e.Certificate)}
}

func (w *world) wantEnds(id int64, secret, certificate string) {
	w.Helper()
	want := [2]string{secret, certificate}
	v := w.now(id)
	if got := told(v.Ends); got != want {
		w.Errorf("the credential ends at %q, want %q", got, want)
	}
	versions, _, err := w.versions(w.owner, id)
	w.must(err)
	for _, version := range versions {
		if got := told(version.Ends); version.Active && got != want {
			w.Errorf("its version ends at %q, want %q", got, want)
		}
	}
}

// What a probe that cannot tell, or was refused, came across is added to what
// was known; one that went all the way knows it anew.
func TestWhatIsKnownOfTheEnd(t *testing.T) {
	for name, row := range map[string]struct {
		code         probe.Code
		found        map[string]string
		secret, cert string
	}{
		"valid, both":               {probe.CodeOK, facts(june, april), june, april},
		"valid, a certificate":      {probe.CodeOK, facts("", june), "", june},
		"valid, none":               {probe.CodeOK, nil, "", ""},
		"unknown, both":             {probe.CodeTargetUnavailable, facts(june, april), june, april},
		"unknown, a certificate":    {probe.CodeTLSExpired, facts("", june), april, june},
		"unknown, a secret":         {probe.CodeTargetUnavailable, facts(june, ""), june, may},
		"unknown, none":             {probe.CodeTCPTimeout, nil, april, may},
		"unknown, no time":          {probe.CodeTCPTimeout, facts("soon", "later"), april, may},
		"refused, a certificate":    {probe.CodeAuthRejected, facts("", june), april, june},
		"refused, that it expired":  {probe.CodeAuthExpired, facts(june, ""), june, may},
		"refused, none":             {probe.CodeAuthRejected, nil, april, may},
		"cannot begin":              {probe.CodeProbeInternal, nil, april, may},
		"unknown, nothing is known": {probe.CodeTLSExpired, facts("", april), "", april},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.create(w.owner).ID
			w.wantEnds(id, "", "")
			if name != "unknown, nothing is known" {
				w.prober.facts = facts(april, may)
				w.probeAs(id, probe.CodeOK)
				w.wantEnds(id, april, may)
			}
			was := w.now(id)
			w.prober.facts = row.found
			w.probeAs(id, row.code)
			w.wantEnds(id, row.secret, row.cert)
			if is := w.now(id); is.Version != was.Version || !is.UpdatedAt.Equal(was.UpdatedAt) {
				t.Error("a probe moved the version or the time of the last change")
			}
			versions, _, err := w.versions(w.owner, id)
			w.must(err)
			if is := w.now(id); versions[0].Status != is.Status || !versions[0].Verified.Equal(is.VerifiedAt) {
				t.Errorf("the version says %q, the credential %q", versions[0].Status, is.Status)
			}
			w.check()
		})
	}
}

// The ends belong to a version of the secret: a new one has none, one that was
// proven before the switch brings its own, a roll back brings the earlier ones.
func TestEndsBelongToAVersion(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.prober.facts = facts(april, may)
	w.probeAs(id, probe.CodeOK)
	if _, err := w.update(w.owner, id, credential.Draft{Name: ptr("renamed")}); err != nil {
		t.Fatal(err)
	}
	w.wantEnds(id, april, may)
	w.setSecret(id, postgres("second"))
	w.wantEnds(id, "", "")

	w.clock.advance(10 * time.Second)
	w.prober.facts = facts(june, "")
	w.prober.script(probe.CodeOK, nil)
	v, _, switched, err := w.propose(w.owner, id, credential.Draft{Credentials: postgres("third")})
	w.must(err)
	if !switched || told(v.Ends) != [2]string{june, ""} {
		t.Errorf("switched: %v, ends %q", switched, told(v.Ends))
	}
	w.wantEnds(id, june, "")

	w.clock.advance(10 * time.Second)
	w.prober.facts = facts(april, april)
	w.prober.script(probe.CodeAuthExpired, nil)
	_, _, _, err = w.propose(w.owner, id, credential.Draft{Credentials: postgres("refused")})
	w.must(err)
	w.wantEnds(id, june, "")

	for version, want := range map[int64][2]string{1: {april, may}, 2: {"", ""}, 3: {june, ""}} {
		_, err := w.rollBack(w.owner, id, version)
		w.must(err)
		w.wantEnds(id, want[0], want[1])
	}
	c, err := w.copy(w.owner, id)
	w.must(err)
	w.wantEnds(c.ID, "", "")
	w.check()
}

// The outcome of a probe whose secret was replaced meanwhile tells of no end.
func TestEndOfAnotherSecretIsDropped(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	w.prober.facts = facts(april, may)
	w.prober.script(probe.CodeOK, func() { w.setSecret(id, postgres("second")) })
	_, err := w.probe(w.owner, id)
	w.must(err)
	w.wantEnds(id, "", "")
}

func TestFirstEnd(t *testing.T) {
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	for e, want := range map[credential.Ends]time.Time{
		{}:                                 {},
		{Secret: late}:                     late,
		{Certificate: late}:                late,
		{Secret: early, Certificate: late}: early,
		{Secret: late, Certificate: early}: early,
	} {
		if got := e.First(); got != want {
			t.Errorf("%+v: %v first", e, got)
		}
	}
}

func TestListOfWhatEnds(t *testing.T) {
	w := newWorld(t)
	ending := func(secret, certificate string) int64 {
		id := w.create(w.owner).ID
		w.prober.facts = facts(secret, certificate)
		w.probeAs(id, probe.CodeOK)
		return id
	}
	untold, past, password, certificate, both := ending("", ""), ending("2026-01-01T00:00:00Z", ""), ending(april, june), ending("", april), ending(may, june)
	refused := ending(april, "")
	w.prober.facts = nil
	w.probeAs(refused, probe.CodeAuthRejected)
	never := w.create(w.owner).ID
	at := func(text string) time.Time {
		v, err := time.Parse(time.RFC3339, text)
		w.must(err)
		return v
	}
	for _, row := range []struct {
		name   string
		f      credential.Filter
		window chosen
		want   []int64
	}{
		{"any", credential.Filter{}, nil, []int64{never, refused, both, certificate, password, past, untold}},
		{"before the day", credential.Filter{EndsBefore: at(april)}, nil, []int64{past}},
		{"a moment later", credential.Filter{EndsBefore: at(april).Add(time.Millisecond)}, nil, []int64{refused, certificate, password, past}},
		{"until June", credential.Filter{EndsBefore: at(june)}, nil, []int64{refused, both, certificate, password, past}},
		{"far ahead", credential.Filter{EndsBefore: at("2036-01-01T00:00:00Z")}, nil, []int64{refused, both, certificate, password, past}},
		{"and valid", credential.Filter{EndsBefore: at(may), Validity: credential.ValidityValid}, nil, []int64{certificate, password, past}},
		{"and of a type", credential.Filter{EndsBefore: at(may), Type: "s3"}, nil, []int64{}},
		{"its second page", credential.Filter{EndsBefore: at(june)}, window(2, 2), []int64{certificate, password}},
	} {
		views, total := w.list(w.owner, credential.Query{Filter: row.f, Window: row.window})
		if got := listed(views); !slices.Equal(got, row.want) || total != len(row.want) && row.window == nil || row.window != nil && total != 5 {
			t.Errorf("%s: %v of %d, want %v", row.name, got, total, row.want)
		}
	}
	if views, _ := w.list(w.strangersAdmin, credential.Query{Filter: credential.Filter{Least: access.Collaborator, EndsBefore: at(june)}}); len(views) != 0 {
		t.Error("another organisation sees what ends")
	}
}

// The class of a rejection is kept with the version that a valid probe proved,
// however it was proven, and no other verdict changes it.
func TestTheRejectionOfAnotherSecretIsKept(t *testing.T) {
	w := newWorld(t)
	id := w.create(w.owner).ID
	kept := func(step string, want ...string) {
		t.Helper()
		versions, _, err := w.versions(w.owner, id)
		w.must(err)
		var got []string
		for _, v := range versions {
			got = append(got, v.Rejection)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: kept %q, want %q", step, got, want)
		}
	}
	kept("untested", "")
	w.prober.rejection = "4xx"
	w.probeAs(id, probe.CodeTCPTimeout)
	kept("unknown", "")
	w.probeAs(id, probe.CodeOK)
	kept("valid", "4xx")
	w.prober.rejection = ""
	w.probeAs(id, probe.CodeAuthRejected)
	kept("refused", "4xx")
	w.setSecret(id, postgres("second"))
	kept("a new secret", "", "4xx")
	w.prober.rejection = "2xx"
	w.clock.advance(10 * time.Second)
	w.prober.script(probe.CodeOK, nil)
	if _, _, switched, err := w.propose(w.owner, id, credential.Draft{Credentials: postgres("third")}); err != nil || !switched {
		t.Fatalf("not switched: %v", err)
	}
	kept("proven before the switch", "2xx", "", "4xx")
	w.check()
}
