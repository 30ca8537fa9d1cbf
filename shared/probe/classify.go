package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"

	"credence/shared/probe/netguard"
)

// classify finds the code for an error met in a stage. The error's text is
// looked at, never repeated.
func classify(stage string, err error, hostField, portField Field) Finding {
	if f := (Finding{}); errors.As(err, &f) {
		return f
	}
	if b := (*netguard.Blocked)(nil); errors.As(err, &b) {
		return blocked(b.Reason, hostField, portField)
	}
	if d := (*net.DNSError)(nil); errors.As(err, &d) {
		f := Found(CodeDNSTimeout, "")
		if d.IsNotFound {
			f = Found(CodeDNSNotFound, "")
		}
		return f.or(hostField)
	}
	if f, ok := classifyTLS(err, hostField); ok {
		return f
	}
	if f, ok := classifyNet(stage, err); ok {
		if f.Code == CodeTCPRefused || f.Code == CodeTCPReset && before(stage, Auth) { // the host answered, so the port is the likelier mistake
			f = f.or(portField)
		}
		if stage == TCP || f.Code == CodeProtocolMismatch || f.Code == CodeProbeTimeout && before(stage, Auth) {
			f = f.or(hostField)
		}
		return f
	}
	switch {
	case stage == TLS, strings.Contains(err.Error(), "tls: "):
		return Found(CodeTLSUnsupported, "").or(portField)
	case before(TLS, stage):
		return Found(CodeProtocolMismatch, "").or(hostField)
	}
	return Found(CodeProbeInternal, "")
}

func blocked(reason netguard.Reason, hostField, portField Field) Finding {
	switch reason {
	case netguard.ReasonReserved:
		return Found(CodeDestinationBlocked, "This address belongs to this service itself or to the network's own machinery, and is never reached by a probe. Enter the host of your system.").or(hostField)
	case netguard.ReasonPrivate:
		return Found(CodeDestinationBlocked, "This is not a public address. If it is a private one of your network, ask the operator of this service to put it on the allow-list.").or(hostField)
	case netguard.ReasonName:
		return Found(CodeDestinationBlocked, "This is no host that can be reached. Write a name of letters, digits, hyphens and dots (an international one in its xn-- form), or an address in its usual form.").or(hostField)
	case netguard.ReasonPort:
		return Found(CodeDestinationBlocked, "A probe of this kind of system does not use this port, which is one for systems of other kinds. Check the port; the documentation lists those that can be probed.").or(portField)
	case netguard.ReasonPlaintext:
		return Found(CodeTLSRequired, "").or(hostField)
	case netguard.ReasonLimit:
		return Found(CodeDestinationBlocked, "The system points to more addresses than one probe visits. Enter one of its hosts.").or(hostField)
	}
	return Found(CodeDestinationBlocked, "").or(hostField)
}

func classifyTLS(err error, hostField Field) (Finding, bool) {
	var (
		invalid   x509.CertificateInvalidError
		name      x509.HostnameError
		authority x509.UnknownAuthorityError
		verify    *tls.CertificateVerificationError
		header    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Found(CodeTLSExpired, ""), true
	case errors.As(err, &name):
		return Found(CodeTLSNameMismatch, "").or(hostField), true
	case errors.As(err, &authority), errors.As(err, &invalid), errors.As(err, &verify):
		return Found(CodeTLSUntrusted, "").or("tls.ca_certificate"), true
	case errors.As(err, &header):
		if strings.HasPrefix(string(header.RecordHeader[:]), "HTTP/") {
			return Found(CodeTLSUnsupported, "The system answers without encryption on this port. Enter the port on which it supports TLS.").or(hostField), true
		}
		return Found(CodeProtocolMismatch, "The address answers without TLS: the port may be one for unencrypted connections, or of another kind of system. Check host and port.").or(hostField), true
	}
	return classifyAlert(err, hostField)
}

func classifyNet(stage string, err error) (Finding, bool) {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, netguard.ErrReadLimit):
		return Found(CodeProtocolMismatch, "The system sent far more than such a system sends. Check host and port."), true
	case errors.Is(err, syscall.ECONNREFUSED):
		return Found(CodeTCPRefused, ""), true
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return Found(CodeTCPTimeout, ""), true
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed),
		errors.As(err, &timeout) && timeout.Timeout():
		switch stage {
		case DNS:
			return Found(CodeDNSTimeout, ""), true
		case TCP:
			return Found(CodeTCPTimeout, ""), true
		case TLS, Protocol:
			return Found(CodeProbeTimeout, "The system took the connection, but gave no answer of the kind expected within the time of a probe. Check that host and port belong to this kind of system; if they do, it is overloaded, or something on the way holds its answers back. Try again."), true
		}
		return Found(CodeProbeTimeout, ""), true
	case Closed(err):
		return Found(CodeTCPReset, ""), true
	}
	return Finding{}, false
}
