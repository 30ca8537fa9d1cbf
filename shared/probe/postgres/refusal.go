package postgres

import (
	"cmp"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"credence/shared/pattern"
	"credence/shared/probe"
	"credence/shared/probe/database"
)

// SQLSTATEs (https://www.postgresql.org/docs/current/errcodes-appendix.html).
// A server's text is translated and changes between versions; these do not.
const (
	invalidAuthorization = "28000"
	invalidPassword      = "28P01"
	noDatabase           = "3D000"
	noPrivilege          = "42501"
	notInState           = "55000" // the database takes no connections
	tooManyConnections   = "53300"
	cannotConnectNow     = "57P03"
	protocolViolation    = "08P01"
)

// Refusals that have no SQLSTATE of their own, told by their words.
const (
	tlsRequired       = "TLS"
	certificateWanted = "certificate"
	behindPooler      = "behind"
	addressDenied     = "address"
	throttled         = "throttled"
	userBlocked       = "blocked"
	wrongOrMissing    = "wrong or missing"
)

// pooled are the SQLSTATEs that PostgreSQL has for what PgBouncer says under
// one code, in these words and no other language. An error of the server behind
// it that it passes on has more words.
var pooled = map[string]string{
	"password authentication failed":                invalidPassword,
	"SASL authentication failed":                    invalidPassword,
	"login rejected":                                invalidAuthorization,
	"no more connections allowed (max_client_conn)": tooManyConnections,
	"SSL required":                                  tlsRequired,
}

// failedBehind begins what poolers say of their own sign-in at the server
// behind them, under the code of that sign-in or their own:
// https://www.pgbouncer.org/changelog.html, https://github.com/postgresml/pgcat
var failedBehind = pattern.New(`(?i)^(server login (failed|has been failing)|pgbouncer cannot connect to server|server conn crashed|could not get connection from the pool|failed to connect to (the )?(remote )?(server|database)|remote server)`)

// worded are refusals of PostgreSQL, of poolers and of gateways that have no
// code of their own, known by their words in English: PgBouncer, Odyssey, PgDog,
// Supavisor, CockroachDB's proxy, RDS Proxy and Azure.
// https://github.com/supabase/supavisor, https://github.com/yandex/odyssey
// https://github.com/pgdogdev/pgdog, https://github.com/cockroachdb/cockroach
var worded = []struct {
	words *pattern.Pattern
	state string
}{
	{pattern.New(`(?i)valid client certificate|certificate authentication failed|client certificate (is )?required`), certificateWanted},
	{pattern.New(`(?i)\b(SSL|TLS) connections? (is |are )?required|requires (SSL|TLS) connections`), tlsRequired},
	{pattern.New(`(?i)\baddress not in tenant allow_list`), addressDenied},
	{pattern.New(`(?i)too many (failed )?(authentication|attempts)|connection attempt throttled`), throttled},
	{pattern.New(`(?i)\buser blocked:`), userBlocked},
	{pattern.New(`(?i)^password for user .* is wrong, or the database does not exist$`), wrongOrMissing},
}

// sqlState is the code of a server's error, "00000" where it gave none; "" for
// an error that is not a server's.
func sqlState(err error) string {
	refusal := (*pgconn.PgError)(nil)
	if !errors.As(err, &refusal) {
		return ""
	}
	switch words := refusal.Message; {
	case failedBehind.MatchString(words):
		return behindPooler
	case refusal.Code == protocolViolation && strings.HasPrefix(words, "no such database: "):
		return noDatabase
	case refusal.Code == protocolViolation && pooled[words] != "":
		return pooled[words]
	case slices.Contains(uncoded, refusal.Code) && !strings.Contains(words, "pg_hba.conf"):
		for _, w := range worded {
			if w.words.MatchString(words) {
				return w.state
			}
		}
	}
	return cmp.Or(refusal.Code, "00000")
}

// uncoded are the codes under which poolers and gateways send refusals of many
// kinds.
var uncoded = []string{protocolViolation, invalidAuthorization, "XX000", "08004"}

// unrouted is the field that a refusal blames for leading to no user or server.
func unrouted(err error) probe.Field {
	refusal := (*pgconn.PgError)(nil)
	if !errors.As(err, &refusal) || refusal.Code == noDatabase {
		return ""
	}
	return database.Unrouted(refusal.Message)
}

// outcome is what the stage auth ended with, by what the server was seen to
// ask and answer; nil means that the secret was presented and accepted, even if
// the server then denied what comes after.
func (x *exchange) outcome(err error) error {
	state := sqlState(err)
	switch {
	case x.accepted && !x.presented:
		return probe.Found(probe.CodeSecretNotTested, "The server accepts this user without a password (trust, peer or certificate in its pg_hba.conf), so nothing is proven. Have it require one: scram-sha-256.").At(database.FieldPassword)
	case x.accepted && state == invalidAuthorization:
		return probe.Found(probe.CodeAuthDisabled, "The server accepted the password, but the role may not sign in (NOLOGIN), or is not there. Have it granted LOGIN, or use another.").At(database.FieldUser)
	case err == nil && x.accepted, state != "" && x.accepted:
		return nil
	case x.proven() && (state == noDatabase || state == noPrivilege || state == notInState):
		return nil
	case x.proven() && state != "":
		return x.behind(state)
	case state != "" && !x.presented && x.wantsCertificate(state, err):
		return x.certificate()
	case state != "" && !x.presented && unrouted(err) != "":
		return database.NoRoute(unrouted(err))
	case state != "":
		return x.refused(state)
	case !x.began:
		return x.attempt.Stage(probe.Protocol, func() error { return x.cause(err) })
	}
	return x.cause(err)
}

// cause is why the driver gave up without an error of the server's.
func (x *exchange) cause(err error) error {
	network := (*net.OpError)(nil)
	switch {
	case x.presented && !x.accepted && probe.Closed(x.fault):
		return probe.Found(probe.CodeTCPReset, "The server closed the connection after it received the password, without an error. Some servers do so if the password is wrong; a firewall or proxy may also have ended the connection. Check user and password, then probe again.")
	case x.fault != nil:
		return x.fault
	case x.disproved:
		return errRejected
	case !errors.As(err, &network) && x.asked == authSASLFinal:
		return probe.Found(probe.CodeProtocolMismatch, "The server did not prove that it knows the password, as SCRAM requires: it may be another server than you mean. Check host and port.").At(database.FieldHost)
	case !errors.As(err, &network) && x.asked != authOK && !x.presented:
		return probe.Found(probe.CodeAuthMethodUnsupported, "The server requires another way to authenticate than a password for this user. Use a user with a password (scram-sha-256 in its pg_hba.conf), or check the credential where it is used.").At(database.FieldUser)
	}
	return err
}

// proven reports whether both sides have shown by SCRAM that they know the
// password: the driver reads on only behind a signature of the server's that it
// has checked (RFC 5802 section 3).
func (x *exchange) proven() bool { return x.presented && x.asked == authSASLFinal }

// behind reads a refusal that comes after the proof of the password and before
// the server's word that the sign-in is good.
func (x *exchange) behind(state string) error {
	sent := x.attempt.CertificateSent()
	switch {
	case state == tooManyConnections || state == cannotConnectNow:
		return unavailable(state)
	case sent && (state == invalidPassword || state == invalidAuthorization || state == certificateWanted):
		return errCertificateName
	}
	return errBehind
}

// wantsCertificate reports whether the server ended the sign-in, before it
// asked for a password, because of the client certificate. In other languages
// than English that refusal is known by what it does not name: pg_hba.conf and
// the user, which all others of its code name.
func (x *exchange) wantsCertificate(state string, err error) bool {
	if state == certificateWanted {
		return true
	}
	refusal := (*pgconn.PgError)(nil)
	return state == invalidAuthorization && errors.As(err, &refusal) && x.attempt.CertificateRequested() &&
		!strings.Contains(refusal.Message, "pg_hba.conf") && !strings.Contains(refusal.Message, x.login.User)
}

// certificate is the finding for such a refusal.
func (x *exchange) certificate() error {
	switch {
	case x.attempt.CertificateSent():
		return probe.Found(probe.CodeAuthRejected, "The server rejected the client certificate. Its common name (CN) must be the user name, or the server's pg_ident.conf must map it; check both.").At(database.FieldCertificate)
	case x.login.Plaintext():
		return probe.Found(probe.CodeClientCertificate, "The server requires a client certificate, which only a connection with TLS can present. Enter the certificate and its private key, and set sslmode to verify-full.").At(database.FieldCertificate)
	}
	return probe.Found(probe.CodeClientCertificate, "The server requires a client certificate of this user (cert or clientcert in its pg_hba.conf). Enter the certificate and its private key.").At(database.FieldCertificate)
}

// refused reads the error with which the server ended the sign-in.
func (x *exchange) refused(state string) error {
	sent, named := x.login.Certified()
	switch {
	case state == behindPooler:
		return probe.Found(probe.CodeTargetUnavailable, "A pooler before the server could not sign in to the server behind it, so the password was not tested there. Have the pooler's account and its server checked, then probe again.")
	case sent && !named && x.attempt.CertificateSent() && x.presented && state == invalidPassword && x.asked != authSASLContinue:
		return probe.Found(probe.CodeClientCertificate, "The server rejected the sign-in: the password is wrong, or the client certificate is not this user's. Its common name (CN) must be the user name where the server requires clientcert=verify-full; check the certificate, then the password.").At(database.FieldCertificate)
	case x.presented && state == invalidAuthorization && x.asked == authSASLContinue:
		return errBinding
	case x.presented && state == invalidPassword,
		// Servers before 9.0 and those made from them have one code for both.
		x.presented && state == invalidAuthorization && x.asked != authCleartext:
		return errRejected
	case x.presented && state == invalidAuthorization:
		return probe.Found(probe.CodeAuthLocked, "The server delegates authentication to another system (LDAP, RADIUS, PAM, or the IAM of a cloud), and it failed there: the password or token is wrong, the account is locked, or that system is down. Check the account there, then probe again.").At(database.FieldUser)
	case state == invalidAuthorization:
		// Refused before anything was asked: that is pg_hba.conf.
		if x.login.Plaintext() {
			return probe.Found(probe.CodeSourceIPDenied, "The server's pg_hba.conf does not admit this user to this database from this service's address without TLS. Set sslmode to verify-full, then probe again; if that is rejected too, have a line for it added there.").At(database.FieldTLS)
		}
		return probe.Found(probe.CodeSourceIPDenied, "The server's pg_hba.conf does not admit this user to this database from this service's address. Have a line for it added there, or check user and database.")
	case state == noDatabase:
		return x.absent
	case state == wrongOrMissing && x.presented:
		return errRejected
	case state == wrongOrMissing:
		return x.absent
	case state == userBlocked:
		return probe.Found(probe.CodeAuthLocked, "A pooler before the server blocks this user. Have it unblocked there, then probe again.").At(database.FieldUser)
	case state == tlsRequired:
		return probe.Found(probe.CodeTLSRequired, "The server accepts only encrypted connections. Set sslmode to verify-full.").At(database.FieldTLS)
	}
	if f := unavailable(state); !x.presented || f != errOther {
		return f
	}
	return probe.Found(probe.CodeTargetUnavailable, "After it received the password, the server reported an error that is not known here. It may be about the server, a pooler before it, or the password. Check user and password, then contact its operator.")
}

var errRejected = probe.Found(probe.CodeAuthRejected, "The server rejected the user name or the password. Enter both again. A password that has expired there (VALID UNTIL) is rejected in the same way.").At(database.FieldPassword)

// errBehind is a refusal by who has shown before, by SCRAM, that the password
// is the right one.
var errBehind = probe.Found(probe.CodeTargetUnavailable, "A pooler accepted the password, and the server behind it then rejected the sign-in or failed. Have that server, and the account that the pooler uses there, checked.")

// errCertificateName is a refusal after the proof of the password to a client
// that sent a certificate: https://www.postgresql.org/docs/current/auth-cert.html
var errCertificateName = probe.Found(probe.CodeClientCertificate, "The password was accepted, and then the sign-in was rejected: the common name (CN) of the client certificate is not the user name, as clientcert=verify-full requires, or the server behind a pooler rejected it. Use a certificate that was issued for this user.").At(database.FieldCertificate)

// errBinding is what SCRAM-SHA-256-PLUS finds before it looks at the proof:
// https://www.rfc-editor.org/rfc/rfc5802#section-6
var errBinding = probe.Found(probe.CodeAuthMethodUnsupported, "The server's encrypted connection is not the one that starts here: a proxy between the two terminates TLS, so the password was not checked. Set host to the server itself, or to a pooler that authenticates its clients.").At(database.FieldHost)

var errNoDatabase = probe.Found(probe.CodeSecretNotTested, "The server, or a pooler before it, has no database of this name, and did not test the password. Check the name.").At(database.FieldName)

// unavailable words the errors that say nothing of the secret.
func unavailable(state string) probe.Finding {
	switch state {
	case tooManyConnections:
		return probe.Found(probe.CodeTargetUnavailable, "The server has no connection left, in all or for this role or database. Try again later, or have the limit raised.")
	case addressDenied:
		return probe.Found(probe.CodeSourceIPDenied, "A pooler before the server does not admit this service's address. Add the egress addresses of this service to its allow-list.")
	case throttled:
		return probe.Found(probe.CodeRateLimited, "A gateway before the server rejects every sign-in for a time, because too many failed. Correct the clients that use a wrong password, then try again later.")
	case cannotConnectNow:
		return probe.Found(probe.CodeTargetUnavailable, "The server is starting, stopping or recovering. Try again later.")
	}
	return errOther
}

var errOther = probe.Found(probe.CodeTargetUnavailable, "The server reports an error that is not about the password. Look into its log, or contact its operator.")

// denied concludes a sign-in that the server ended after it had accepted the
// secret.
func denied(a *probe.Attempt, err error) probe.Finding {
	switch state := sqlState(err); state {
	case noDatabase:
		a.Warn(probe.WarnResourceNotFound, database.FieldName, "The password is good, but there is no such database on the server. Check its name.")
	case noPrivilege:
		a.Warn(probe.WarnScopeMissing, database.FieldName, "The password is good, but the role may not connect to this database. Have CONNECT granted to it.")
	case notInState:
		a.Warn(probe.WarnScopeMissing, database.FieldName, "The password is good, but this database accepts no connections. Have them allowed, or set database to another one.")
	case invalidPassword, behindPooler, protocolViolation:
		return a.Explain(a.Stage(probe.Access, func() error { return errBehind }))
	default:
		return a.Explain(a.Stage(probe.Access, func() error { return unavailable(state) }))
	}
	return probe.Found(probe.CodeOK, "")
}
