package probe

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
)

// Alerts of TLS, by their numbers in RFC 8446 §6 and RFC 6066 §3. RFC 5246 §7.2
// defines the same ones for TLS 1.2.
const (
	alertHandshakeFailure       tls.AlertError = 40
	alertBadCertificate         tls.AlertError = 42
	alertUnsupportedCertificate tls.AlertError = 43
	alertCertificateRevoked     tls.AlertError = 44
	alertCertificateExpired     tls.AlertError = 45
	alertCertificateUnknown     tls.AlertError = 46
	alertUnknownCA              tls.AlertError = 48
	alertAccessDenied           tls.AlertError = 49
	alertProtocolVersion        tls.AlertError = 70
	alertInsufficientSecurity   tls.AlertError = 71
	alertInternalError          tls.AlertError = 80
	alertInappropriateFallback  tls.AlertError = 86
	alertUnrecognizedName       tls.AlertError = 112
	alertCertificateRequired    tls.AlertError = 116
	alertNoApplicationProtocol  tls.AlertError = 120
)

// alertOf returns the alert that the other end sent; false if the error is none.
// crypto/tls has no exported type for it, only the same text.
func alertOf(err error) (tls.AlertError, bool) {
	op := (*net.OpError)(nil)
	if !errors.As(err, &op) || op.Op != "remote error" || op.Err == nil {
		return 0, false
	}
	for number := range tls.AlertError(255) {
		if number.Error() == op.Err.Error() {
			return number, true
		}
	}
	return 255, true
}

// mutual records what a server asked of the client in a TLS handshake.
type mutual struct {
	requested bool  // the server sent a CertificateRequest (RFC 8446 §4.3.2)
	sent      bool  // a certificate was configured to answer it
	field     Field // the setting of that certificate
	answered  bool  // the server answered what the client sent after the handshake
}

// Answered records that the server answered over the latest TLS connection of this
// attempt. In TLS 1.3 it judges the client certificate after the client's end of
// the handshake; once it answers it has accepted the certificate, or does without,
// and an alert after that is the end of the connection.
func (a *Attempt) Answered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mutual.answered = true
}

// refusal is the finding for an error that rejects the client certificate, or the
// want of one; false for an error that does not say so. Of the alerts only those
// that name the certificate reject one that was sent. Without one the server may
// also send handshake_failure (RFC 5246 §7.4.6).
func (m mutual) refusal(err error, hostField Field) (Finding, bool) {
	alert, alerted := alertOf(err)
	switch {
	case alerted && m.answered:
		return Found(CodeTCPReset, ""), true
	case !m.requested || m.answered:
		return Finding{}, false
	case !alerted:
		return errCertificateClosed.At(m.field), m.sent && Closed(err)
	case !m.sent:
		return m.required(alert, hostField)
	}
	switch alert {
	case alertBadCertificate, alertUnsupportedCertificate, alertCertificateUnknown, alertUnknownCA:
		return Found(CodeAuthRejected, "The server rejected the client certificate during the TLS handshake. Check that it is signed by an authority that the server trusts, that it has not expired or been revoked, and that it belongs to this client.").At(m.field), true
	case alertCertificateRevoked:
		return Found(CodeAuthRevoked, "The server rejected the client certificate during the TLS handshake: its authority has revoked it. Have a new certificate issued and enter it with its private key.").At(m.field), true
	case alertCertificateExpired:
		return Found(CodeAuthExpired, "The server rejected the client certificate during the TLS handshake: it has expired, or is not valid yet. Have a new certificate issued and enter it with its private key.").At(m.field), true
	case alertAccessDenied: // the certificate was valid
		return Found(CodeClientCertificate, "The server received a valid client certificate and denied its owner access. Have this client allowed there, or use the certificate of a client that is.").At(m.field), true
	case alertCertificateRequired:
		return Found(CodeClientCertificate, "The server requires a client certificate and did not accept the one that was sent. Check that it is signed by an authority that the server accepts.").At(m.field), true
	}
	return Finding{}, false
}

// required is refusal for a client that sent no certificate.
func (m mutual) required(alert tls.AlertError, hostField Field) (Finding, bool) {
	switch alert {
	case alertHandshakeFailure, alertBadCertificate, alertUnsupportedCertificate, alertCertificateRevoked, alertCertificateExpired,
		alertCertificateUnknown, alertUnknownCA, alertAccessDenied, alertCertificateRequired:
	default:
		return Finding{}, false
	}
	if m.field != "" {
		return Found(CodeClientCertificate, "The server requires a client certificate during the TLS handshake, and this credential has none. Enter the certificate and its private key.").At(m.field), true
	}
	return Found(CodeClientCertificate, "The server requires a client certificate during the TLS handshake. Credentials of this type have no field for one; use a host or port that authenticates with the secret alone.").At(hostField), true
}

// errCertificateClosed is the end of a connection after a client certificate was
// sent. The alert that rejects it may be lost with the connection.
var errCertificateClosed = Found(CodeClientCertificate, "The server closed the connection after the client certificate was sent, as it does if it does not trust the certificate's authority. Check that the certificate is signed by an authority that the server trusts, and that it has not expired or been revoked.")

// Closed reports whether an error is the other end's closing of the connection.
func Closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// classifyAlert finds the code for an alert that is not about the client's
// certificate; false for an error that is no alert.
func classifyAlert(err error, hostField Field) (Finding, bool) {
	alert, ok := alertOf(err)
	if !ok {
		return Finding{}, false
	}
	switch alert {
	case alertProtocolVersion, alertInsufficientSecurity, alertInappropriateFallback:
		return Found(CodeTLSUnsupported, "The server aborted the TLS handshake: it does not accept the versions or ciphers that a probe offers. It must offer TLS 1.2 or newer.").or(hostField), true
	case alertUnrecognizedName:
		return Found(CodeTLSNameMismatch, "The server aborted the TLS handshake: it serves no host of this name. Check the host name.").or(hostField), true
	case alertInternalError:
		return Found(CodeTargetUnavailable, "The server aborted the TLS handshake with a failure of its own; some answer so for a host name that they do not serve. Check the host name, or try again later.").or(hostField), true
	case alertNoApplicationProtocol:
		f := Found(CodeTLSUnsupported, "The server accepts TLS on this port, but speaks no protocol that this probe speaks. Check host and port.").or(hostField)
		f.alpn = true
		return f, true
	}
	return Found(CodeTLSUnsupported, "The server aborted the TLS handshake. It must offer TLS 1.2 or newer; check that the host name is the one that it serves.").or(hostField), true
}

// heedful returns a connection that reads on after the other end has closed it: a
// Write reports success then, and the Read that follows returns what was sent
// before the end, such as the alert that rejects a client certificate, and then the
// end. Otherwise the failed Write would be all that is known.
func heedful(c net.Conn) net.Conn { return heedfulConn{c} }

type heedfulConn struct{ net.Conn }

func (c heedfulConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if Closed(err) {
		return len(b), nil
	}
	return n, err
}
