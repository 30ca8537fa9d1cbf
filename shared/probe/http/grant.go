package httpprobe

import (
	"net/url"
	"slices"

	"github.com/go-json-experiment/json"

	"credence/shared/probe"
)

// secretGrants are the grants whose parameters are the secret, where the body of a
// sign-in makes the request: RFC 6749 §4.3 and §6, RFC 7522 §2.1, RFC 7523 §2.1.
var secretGrants = []string{
	"password", refreshToken,
	"urn:ietf:params:oauth:grant-type:saml2-bearer", "urn:ietf:params:oauth:grant-type:jwt-bearer",
}

const refreshToken = "refresh_token"

// grant is the grant that the body of an exchange requests; "" for none of
// secretGrants, and for the client credentials grant.
func (x *exchange) grant() string {
	if x.client != nil || x.byProtocol {
		return ""
	}
	form, err := url.ParseQuery(x.body.ExposeText())
	if err != nil || !slices.Contains(secretGrants, form.Get("grant_type")) {
		return ""
	}
	return form.Get("grant_type")
}

// grantRefused reads an error of RFC 6749 §5.2 that answers such a grant; nil for
// one that it leaves to others. invalid_grant has many causes, and only the
// description distinguishes them: without one it rejects a refresh token, which is
// nothing but the secret.
func (t *trial) grantRefused(got answer, grant, code string) error {
	x := t.exchange
	at := func(f probe.Finding) error { return blame(f, x.guilty).Answered(got.status) }
	const untested = probe.CodeSecretNotTested
	switch code {
	case "invalid_grant", "interaction_required", "mfa_required": // the last is Auth0's
	case "invalid_client", "unauthorized_client":
		return at(probe.Found(untested, "The token address does not accept the client of the request, so the grant was not checked. Check the client id in the body, and its secret where the system requires one."))
	default:
		return nil
	}
	if f := entraCode(got.body); f != nil {
		return at(*f)
	}
	if f, ok := cause(got); ok {
		return at(f)
	}
	switch {
	case got.says(wordsClaims):
		return at(probe.Found(untested, "The token address rejects a claim of the assertion (invalid_grant), such as its issuer or audience, and not its signature. Check the claims that the assertion was made with."))
	case got.rejects(), got.says(wordsForged), grant == refreshToken:
		return x.hinted(probe.Found(probe.CodeAuthRejected, "The token address rejects the secret (invalid_grant). Enter it again, or create a new one at the system; a refresh token belongs to one client id.").At(x.guilty).Answered(got.status), t.settings)
	}
	return at(probe.Found(untested, "The token address rejects the grant (invalid_grant) without a cause that is known here: the secret, the state of the account, or a rule of the system. Check the account there."))
}

// entraCodes are the codes by which Microsoft Entra names the cause beside an
// error of RFC 6749.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
var entraCodes = map[int]probe.Finding{
	7000222: probe.Found(probe.CodeAuthExpired, "Microsoft Entra reports that the client's secret has expired (AADSTS7000222). Create a new one there and enter it here."),
	7000215: probe.Found(probe.CodeAuthRejected, "Microsoft Entra rejects the client's secret (AADSTS7000215). Enter the secret's value, not its id."),
	7000112: probe.Found(probe.CodeAuthDisabled, "Microsoft Entra reports that the application is disabled. Have it enabled there, or use another."),
	500014:  probe.Found(probe.CodeAuthDisabled, "Microsoft Entra reports that the application is disabled. Have it enabled there, or use another."),

	50126:  probe.Found(probe.CodeAuthRejected, "Microsoft Entra rejects the user name or the password (AADSTS50126). Enter both again."),
	50034:  probe.Found(probe.CodeSecretNotTested, "Microsoft Entra does not know this user in this directory (AADSTS50034), so the password was not checked. Check the user name and the tenant in the address."),
	50055:  probe.Found(probe.CodeAuthExpired, "Microsoft Entra reports that the password has expired (AADSTS50055). Set a new one there and enter it here."),
	50144:  probe.Found(probe.CodeAuthExpired, "Microsoft Entra reports that the user's Active Directory password has expired (AADSTS50144). Set a new one there and enter it here."),
	50057:  probe.Found(probe.CodeAuthDisabled, "Microsoft Entra reports that the user's account is disabled (AADSTS50057). Have it enabled there, or use another."),
	50053:  probe.Found(probe.CodeAuthLocked, "Microsoft Entra has locked the account after too many failed attempts, or blocks the address of this service (AADSTS50053). Have it unlocked there, then probe again."),
	50076:  probe.Found(probe.CodeAuthMFARequired, ""),
	50079:  probe.Found(probe.CodeAuthMFARequired, ""),
	50158:  probe.Found(probe.CodeAuthMFARequired, ""),
	53003:  probe.Found(probe.CodeSourceIPDenied, "A Conditional Access policy of Microsoft Entra blocks this service (AADSTS53003). Have the policy admit its egress addresses, then probe again."),
	65001:  probe.Found(probe.CodeSecretNotTested, "Nobody has consented to this application's use of the account (AADSTS65001). Have an administrator consent, then probe again."),
	70008:  probe.Found(probe.CodeAuthExpired, "Microsoft Entra reports that the refresh token has expired (AADSTS70008). Authorize the application again and enter the new token here."),
	700082: probe.Found(probe.CodeAuthExpired, "Microsoft Entra reports that the refresh token has expired because it was not used (AADSTS700082). Authorize the application again and enter the new token here."),
	50173:  probe.Found(probe.CodeAuthRevoked, "Microsoft Entra has revoked the refresh token, for instance because the password was changed (AADSTS50173). Authorize the application again and enter the new token here."),
}

// entraCode returns the finding for the first code that is known; nil for none.
func entraCode(body []byte) *probe.Finding {
	var members struct {
		Codes []int `json:"error_codes"`
	}
	_ = json.Unmarshal(body, &members)
	for _, code := range members.Codes {
		if f, ok := entraCodes[code]; ok {
			return &f
		}
	}
	return nil
}
