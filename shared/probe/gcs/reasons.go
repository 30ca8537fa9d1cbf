package gcsprobe

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"credence/shared/probe"
)

// place is the setting that a remedy points at.
type place int

const (
	atRead    place = iota // the one that names what is read
	atProject              // the project
	atSecret               // the key file or the token
)

// remedy is what one group of reasons asks for, of a secret that is good.
type remedy struct {
	at      place
	warning probe.Finding
	reasons string // separated by spaces, in small letters
}

// remedies are the reasons of errors[].reason, and those of google.rpc.ErrorInfo
// in details[].reason.
//
// https://docs.cloud.google.com/storage/docs/json_api/v1/status-codes
// https://docs.cloud.google.com/storage/docs/requester-pays
// https://docs.cloud.google.com/service-infrastructure/docs/service-control/reference/rpc/google.api#errorreason
var remedies = []remedy{
	{
		atRead, probe.Found(probe.WarnScopeMissing, "The secret is good, but the bucket bills its readers (requester pays), and a probe has no project to bill. Set one where the credential is used, or use a bucket that its owner pays for."),
		"userprojectmissing userprojectrequired requesterpays",
	},
	{
		atProject, probe.Found(probe.WarnScopeMissing, "The secret is good, but it may not bill the project of the request. Have its account granted serviceusage.services.use on the project, or set another project_id."),
		"userprojectaccessdenied userprojectinconsistent user_project_denied",
	},
	{
		atProject, probe.Found(probe.WarnResourceNotFound, "The secret is good, but Google has no project of this id, or it was deleted. Check its id."),
		"userprojectinvalid projectinvalid invalidproject unknownproject projectnotfound consumer_invalid",
	},
	{
		atRead, probe.Found(probe.WarnScopeMissing, "The secret is good, but the project has no active billing account, so Google does not serve its buckets. Have billing enabled for the project."),
		"accountdisabled userprojectaccountproblem accountproblem billingdisabled billing_disabled billingnotenabled",
	},
	{
		atProject, probe.Found(probe.WarnScopeMissing, "The secret is good, but the project is suspended at Google. Have its owner resolve that, or set another project_id."),
		"consumer_suspended projectsuspended",
	},
	{
		atProject, probe.Found(probe.WarnScopeMissing, "The secret is good, but the Cloud Storage API is not enabled in the project of its account. Have it enabled there."),
		"accessnotconfigured service_disabled service_not_visible",
	},
	{
		atSecret, probe.Found(probe.WarnScopeMissing, "The secret is good, but its token was issued without a scope that reads Cloud Storage. Get one with the scope devstorage.read_only."),
		"access_token_scope_insufficient insufficientscopes insufficientscope",
	},
	{
		atRead, probe.Found(probe.WarnScopeMissing, "The secret is good, but a policy of the organisation (such as VPC Service Controls) denies this service access to the bucket or project. Have the policy admit this service, or check the credential where it is used."),
		"vpcservicecontrols security_policy_violated policyviolation org_restriction_violation org_restriction_header_invalid location_policy_violated location_org_policy_violated lockeddomainnotallowed ipfilterdenied",
	},
	{
		atRead, probe.Found(probe.WarnScopeMissing, "The secret is good, but Google does not serve the country of this service there. Check the credential where it is used."),
		"countryblocked",
	},
}

// limits are the reasons that ask to come back later.
const limits = "ratelimitexceeded userratelimitexceeded quotaexceeded dailylimitexceeded dailylimitexceededunreg concurrentlimitexceeded " +
	"rate_limit_exceeded resource_quota_exceeded slowdown"

// reasons are those of an error, in small letters.
type reasons []string

func (r reasons) any(of string) bool {
	return slices.ContainsFunc(strings.Fields(of), func(one string) bool { return slices.Contains(r, one) })
}

// reasons reads an error in the form of Google's APIs; false if the answer is
// none: its code must be the status. What "invalid" is about is in location, or
// else in the message.
func (a answer) reasons() (reasons, bool) {
	type detail struct {
		Reason   string `json:"reason"`
		Location string `json:"location"`
		Message  string `json:"message"`
	}
	var document struct {
		Error struct {
			Code    int      `json:"code"`
			Errors  []detail `json:"errors"`
			Details []detail `json:"details"`
		} `json:"error"`
	}
	if json.Unmarshal(a.body, &document) != nil || document.Error.Code != a.status {
		return nil, false
	}
	var all reasons
	for _, d := range append(document.Error.Errors, document.Error.Details...) {
		reason, about := strings.ToLower(d.Reason), strings.ToLower(d.Location+" "+d.Message)
		switch {
		case reason == "":
			continue
		case a.status == 401: // about the secret
		case reason == "required": // of all parameters a probe leaves out this one alone
			reason = "userprojectmissing"
		case reason == "invalid" && (strings.Contains(about, "userproject") || strings.Contains(about, "user project")):
			reason = "userprojectinvalid"
		case strings.Contains(about, "unknown project"), strings.Contains(about, "project does not exist"), strings.Contains(about, "project was not found"):
			reason = "unknownproject"
		}
		all = append(all, reason)
	}
	return all, true
}

// remedy returns the warning for the first reason that has one, at the field to
// change; false for none.
func (p plan) remedy(of reasons, read probe.Field) (probe.Finding, bool) {
	for _, r := range remedies {
		if !of.any(r.reasons) {
			continue
		}
		switch r.at {
		case atProject:
			return r.warning.At(fieldProject), true
		case atSecret:
			return r.warning.At(p.secretField()), true
		}
		return r.warning.At(read), true
	}
	return probe.Finding{}, false
}

func (p plan) secretField() probe.Field {
	if p.account != nil {
		return fieldAccount
	}
	return p.tokenField
}

// refused is what a 401 says of the secret.
func (p plan) refused(why reasons) probe.Finding {
	field := p.secretField()
	switch {
	case why.any("credentials_missing required"):
		return probe.Found(probe.CodeSecretNotTested, "Google received the request without the token: something on the way, such as a proxy, removes it. Inform the operator of this service.").At(field)
	case why.any("account_state_invalid accountdisabled"):
		return probe.Found(probe.CodeAuthDisabled, "The account of this secret is disabled or deleted at Google. Have it enabled there, or use another.").At(field).Answered(401)
	case p.account != nil:
		return probe.Found(probe.CodeTokenRefused, "Google issued a token for the key, and Cloud Storage rejected it (status 401). The key is good; check the account's standing at Google.").At(field)
	case p.renewable:
		return probe.Found(probe.CodeSecretNotTested, "The access token has expired or was revoked. Whether the refresh token is good is not tested: it is renewed where it is used. Sign in at Google again if it fails there.").At(field)
	case why.any("access_token_expired expired"):
		return probe.Found(probe.CodeAuthExpired, "The access token has expired. Enter a new one, or the key of a service account, which does not expire.").At(field).Answered(401)
	case why.any("access_token_type_unsupported"):
		return probe.Found(probe.CodeAuthRejected, "Google rejected the token: it is of another kind, such as an ID token. Enter an access token.").At(field).Answered(401)
	}
	return probe.Found(probe.CodeAuthRejected, "Google rejected the access token (status 401): it has expired, was revoked, or was never valid. Enter a new one.").At(field).Answered(401)
}
