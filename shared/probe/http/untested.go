package httpprobe

import (
	"net/http"

	"credence/shared/probe"
)

// same is the finding for a secret that makes no difference.
func (t *trial) same(got, other answer) error {
	const code = probe.CodeSecretNotTested
	f := probe.Found(code, "The address answers status %d to the secret and status %d to another one, without a difference that proves it was checked. Set test.url to an address that requires the secret, or set test.expect.pointer and test.expect.value to what only a successful answer has.", got.status, other.status)
	switch {
	case t.expect.stated():
		f = probe.Found(code, "The answer to another secret meets test.expect too, so it does not prove this one. Choose a status or a member of the answer that only the right secret gets.")
	case t.plan.certAlone:
		f = probe.Found(code, "The address answers %d with the client certificate and without it, so it does not require one. Set test.url to an address that does.", got.status)
	case t.plan.account() && got.status == other.status:
		f = probe.Found(code, "The address answers %d with the password and without it, so it does not require one. Set test.url to an address that does.", got.status)
	case got.class().body.kind == bodyHTML:
		f = probe.Found(code, "The address answers the same web page (status %d) to the secret and to another one. Set test.url to an address of the API that requires the secret.", got.status)
	}
	return t.unproven(f.At(t.plan.urlField))
}

// unproven is the finding for a test request that proves nothing. An exchange
// may have proven the secret already: then it is a warning.
func (t *trial) unproven(f probe.Finding) error {
	if !t.proven {
		return f
	}
	t.attempt.Warn(probe.WarnNotCrossChecked, t.plan.urlField, "The token address accepts the secret and rejects another. Whether the API accepts the token is not known: it does not answer the test request with success, or answers the same to another token.")
	return nil
}

// unexpected is the finding for an answer that the user does not call success.
func (t *trial) unexpected(got answer) error {
	f := probe.Found(probe.CodeSecretNotTested, "The answer (status %d) has no value at test.expect.pointer. Check the pointer and the secret.", got.status)
	switch field := t.expect.missed(got); field {
	case fieldExpectStatus:
		return probe.Found(probe.CodeSecretNotTested, "The address answers with status %d, and test.expect.status is %d. Check the secret and the test request, or change test.expect.status.", got.status, int(t.expect.status)).At(field)
	case fieldExpectValue:
		return probe.Found(probe.CodeSecretNotTested, "The answer (status %d) has another value at test.expect.pointer than test.expect.value. Check the secret and the test request, or change test.expect.value.", got.status).At(field)
	default:
		return f.At(field)
	}
}

// inconclusive is the finding for an answer that is neither a success nor a
// rejection of the secret.
func (t *trial) inconclusive(got answer) error {
	const code = probe.CodeSecretNotTested
	f := probe.Found(code, "The address answers with status %d, which is neither a success nor a rejection of the secret. Set test.url to an address that succeeds with the secret.", got.status)
	switch {
	case got.status/100 == 2 && got.class().body.kind == bodyHTML:
		return probe.Found(code, "The address answers with a sign-in page (status %d), which is no answer of an API. Set test.url to an address of the API.", got.status).At(t.plan.urlField)
	case got.status/100 == 2:
		return t.plan.hinted(probe.Found(code, "The address answers with status %d and reports an error in its body: the secret or the test request may be wrong. Check the secret, test.url and test.body.", got.status).At(t.plan.urlField), t.settings)
	case got.status/100 == 3 && got.status != http.StatusNotModified:
		f = probe.Found(code, "The address redirects (status %d), and a redirect is never followed with a secret. Set test.url to the address that it leads to. If that is a sign-in page, the secret may be wrong, or test.url is not an address of the API.", got.status)
	case got.status == http.StatusProxyAuthRequired:
		f = probe.Found(code, "A proxy before the system requires credentials of its own (status 407), so the request did not reach the system. Use an address that is reached without that proxy.")
	case got.status == http.StatusNotFound, got.status == http.StatusGone:
		f = probe.Found(code, "The system has nothing at this address (status %d). Check its path; some systems answer so to a wrong secret too.", got.status)
	case got.status == http.StatusMethodNotAllowed:
		f = probe.Found(code, "The address does not accept this method (status %d). Set test.url to an address that accepts GET, or set test.method.", got.status)
	case got.wantsCert:
		return errCertificate.At(t.certField)
	}
	return t.unproven(f.At(t.plan.urlField))
}
