package probe

import "slices"

// Code says what a probe met. The list is closed; docs/probes.md explains
// each, and a test holds the two equal.
type Code string

// The codes of a result.
const (
	CodeOK                    Code = "OK"
	CodeDestinationBlocked    Code = "DESTINATION_BLOCKED"
	CodeDNSNotFound           Code = "DNS_NOT_FOUND"
	CodeDNSTimeout            Code = "DNS_TIMEOUT"
	CodeTCPRefused            Code = "TCP_REFUSED"
	CodeTCPTimeout            Code = "TCP_TIMEOUT"
	CodeTCPReset              Code = "TCP_RESET"
	CodeTLSRequired           Code = "TLS_REQUIRED"
	CodeTLSUnsupported        Code = "TLS_UNSUPPORTED"
	CodeTLSUntrusted          Code = "TLS_UNTRUSTED"
	CodeTLSNameMismatch       Code = "TLS_NAME_MISMATCH"
	CodeTLSExpired            Code = "TLS_EXPIRED"
	CodeSSHHostKeyUnknown     Code = "SSH_HOSTKEY_UNKNOWN"
	CodeSSHHostKeyChanged     Code = "SSH_HOSTKEY_CHANGED"
	CodeProtocolMismatch      Code = "PROTOCOL_MISMATCH"
	CodeAuthRejected          Code = "AUTH_REJECTED"
	CodeAuthExpired           Code = "AUTH_EXPIRED"
	CodeAuthRevoked           Code = "AUTH_REVOKED"
	CodeAuthDisabled          Code = "AUTH_DISABLED"
	CodeAuthLocked            Code = "AUTH_LOCKED"
	CodeAuthMFARequired       Code = "AUTH_MFA_REQUIRED"
	CodeAuthMethodUnsupported Code = "AUTH_METHOD_UNSUPPORTED"
	CodeAuthWorkLimit         Code = "AUTH_WORK_LIMIT"
	CodeSourceIPDenied        Code = "SOURCE_IP_DENIED"
	CodeHostBlocked           Code = "HOST_BLOCKED"
	CodeSecretNotTested       Code = "SECRET_NOT_TESTED"
	CodeTokenRefused          Code = "TOKEN_REFUSED"
	CodeClientCertificate     Code = "CLIENT_CERTIFICATE_REQUIRED"
	CodeRateLimited           Code = "RATE_LIMITED"
	CodeTargetUnavailable     Code = "TARGET_UNAVAILABLE"
	CodeProbeTimeout          Code = "PROBE_TIMEOUT"
	CodeNoProbeForType        Code = "NO_PROBE_FOR_TYPE"
	CodeTunnelUnsupported     Code = "TUNNEL_UNSUPPORTED"
	CodeIntegrity             Code = "INTEGRITY"
	CodeProbeInternal         Code = "PROBE_INTERNAL"
)

// The codes of a warning, which stands beside OK.
const (
	WarnResourceNotFound Code = "RESOURCE_NOT_FOUND"
	WarnScopeMissing     Code = "SCOPE_MISSING"
	WarnTLSUnverified    Code = "TLS_UNVERIFIED"
	WarnNotCrossChecked  Code = "NOT_CROSS_CHECKED"
	WarnNoSecret         Code = "NO_SECRET"
	WarnUnknownField     Code = "UNKNOWN_FIELD"
	WarnOverPrivileged   Code = "OVER_PRIVILEGED"
)

// rule is what a code stands for. A stopping code is never retryable: what
// stops the schedule does not get better by trying.
type rule struct {
	code      Code
	verdict   Verdict
	stop      bool
	retryable bool
	message   sentence // what to do, where the prober knows nothing better
}

var rules = []rule{
	{CodeOK, Valid, false, false, "Ok"},
	{CodeDestinationBlocked, Unknown, false, false, "This address may not be reached from here. Check the host and port; for a private address ask the operator of this service to put it on the allow-list."},
	{CodeDNSNotFound, Unknown, false, true, "The name of the host was not found. Check its spelling, and that the name is known outside your own network."},
	{CodeDNSTimeout, Unknown, false, true, "The name servers of the host did not answer. Try again; if it lasts, check the domain's name servers."},
	{CodeTCPRefused, Unknown, false, true, "The host refuses connections on this port. Check the port, and that the system runs."},
	{CodeTCPTimeout, Unknown, false, true, "Nothing answers on this host and port. Check both, and that a firewall there admits this service."},
	{CodeTCPReset, Unknown, false, true, "The system closed the connection before it answered. Check the port, and that a firewall or an allow-list there admits this service."},
	{CodeTLSRequired, Unknown, false, false, "Without TLS a secret is sent only to addresses that the operator of this service has listed, and this is none of them. Turn on TLS for this credential."},
	{CodeTLSUnsupported, Unknown, false, false, "No encrypted connection could be agreed on. The system must offer TLS 1.2 or newer on this port; check that it is the port for encrypted connections."},
	{CodeTLSUntrusted, Unknown, false, false, "The certificate of the system is signed by no authority that is trusted here. Put the certificate of its own authority (PEM) into tls.ca_certificate; if that is set, no other authority is trusted."},
	{CodeTLSNameMismatch, Unknown, false, false, "The certificate of the system was issued for another name. Use the name the certificate is for, or have it issued for this one."},
	{CodeTLSExpired, Unknown, false, true, "The certificate of the system has expired, or is not valid yet. Its operator must renew it."},
	{CodeSSHHostKeyUnknown, Unknown, true, false, "The host key of the server is not known yet, so nothing of the credential was sent. Compare the fingerprint given here with the server's own, then put it into host_key."},
	{CodeSSHHostKeyChanged, Unknown, true, false, "The server shows another host key than the credential names, so nothing of the credential was sent. Find out why; if the change is right, put the new fingerprint into host_key."},
	{CodeProtocolMismatch, Unknown, false, false, "The address belongs to another kind of system. Check host and port."},
	{CodeAuthRejected, Invalid, true, false, "The system rejected the secret. Enter it again, or create a new one there."},
	{CodeAuthExpired, Invalid, true, false, "The secret has expired. Create a new one at the system and enter it here."},
	{CodeAuthRevoked, Invalid, true, false, "The secret was revoked at the system. Create a new one there and enter it here."},
	{CodeAuthDisabled, Invalid, true, false, "The account is disabled at the system. Have it enabled there, or use another."},
	{CodeAuthLocked, Unknown, true, false, "The account is locked at the system. Have it unlocked there, then probe again."},
	{CodeAuthMFARequired, Unknown, true, false, "The account requires a second factor, which a program cannot provide. Use an account or a key for programs."},
	{CodeAuthMethodUnsupported, Unknown, true, false, "This way of signing in cannot be probed. Nothing was sent; use another way, or check the credential where it is used."},
	{CodeAuthWorkLimit, Unknown, true, false, "The system asks for more computation to authenticate than a probe does. Nothing of the secret was sent; have the work factor lowered there."},
	{CodeSourceIPDenied, Unknown, true, false, "The system does not admit this service's address. Add the egress addresses of this service to its allow-list."},
	{CodeHostBlocked, Unknown, true, false, "The system has blocked this service's address after too many faulty connections. Have the block lifted there, then probe again."},
	{CodeSecretNotTested, Unknown, false, false, "The system answers the same without the secret, so nothing is proven. Enter an address that requires the secret."},
	{CodeTokenRefused, Unknown, true, false, "The authorization server issued a token, and the API rejected it. Check the audience, the scope and the resource that the token is requested for."},
	{CodeClientCertificate, Unknown, true, false, "The server requires a client certificate. Use a credential that has one, or an address that does not require it."},
	{CodeRateLimited, Unknown, false, true, "The system limits the number of requests, and the limit is reached. You do not need to change anything; probe again later."},
	{CodeTargetUnavailable, Unknown, false, true, "The system answers that it is not available. Try again later, or contact its operator."},
	{CodeProbeTimeout, Unknown, false, true, "The system accepted the connection but did not finish in time. Try again; if it lasts, check that host and port belong to this kind of system."},
	{CodeNoProbeForType, Unknown, false, false, "Credentials of this type cannot be probed. It is stored and can be used; check it where it is used."},
	{CodeTunnelUnsupported, Unknown, false, false, "This credential is used through an SSH tunnel, which a probe does not open; its target was not contacted. Check it where it is used."},
	{CodeIntegrity, Unknown, false, false, "The stored secret could not be opened. Enter it again; the operator of this service has been informed."},
	{CodeProbeInternal, Unknown, false, true, "The probe failed for a reason of our own. Try again; the operator of this service has been informed."},
}

//nolint:gosec // messages
var warnings = map[Code]sentence{
	WarnResourceNotFound: "The secret is good, but what the credential names is not there. Check the name.",
	WarnScopeMissing:     "The secret is good, but it may not use what the credential names. Have the right granted.",
	WarnTLSUnverified:    "The connection was encrypted, but the server's identity was not verified. Enable verification, with tls.ca_certificate if the authority is your own.",
	WarnNotCrossChecked:  "A part of this credential was not compared with a counter-example, so an error in that part would not show.",
	WarnUnknownField:     "The type of the credential does not have a field that was sent. It was not used.",
	WarnNoSecret:         "This credential has no secret, so only the address was tested.",
	WarnOverPrivileged:   "The account may do far more than is needed. Use one with fewer rights.",
}

// Codes is every code of a result, in the order of docs/probes.md.
func Codes() []Code {
	codes := make([]Code, len(rules))
	for i, r := range rules {
		codes[i] = r.code
	}
	return codes
}

// WarningCodes is every code of a warning, sorted.
func WarningCodes() []Code {
	codes := make([]Code, 0, len(warnings))
	for c := range warnings {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	return codes
}

func (c Code) rule() (rule, bool) {
	for _, r := range rules {
		if r.code == c {
			return r, true
		}
	}
	return rule{}, false
}

// Known reports whether c is a code of a result.
func (c Code) Known() bool { _, ok := c.rule(); return ok }

// Verdict is what the code says of the credential; Unknown for no code.
func (c Code) Verdict() Verdict {
	if r, ok := c.rule(); ok {
		return r.verdict
	}
	return Unknown
}

// Stop reports whether the schedule pauses on this code.
func (c Code) Stop() bool { r, _ := c.rule(); return r.stop }

// Retryable reports whether the same probe may come out otherwise without a
// change of the credential.
func (c Code) Retryable() bool { r, _ := c.rule(); return r.retryable }
