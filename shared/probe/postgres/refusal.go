package postgres

import (
	"cmp"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

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

// tlsRequired is no SQLSTATE but stands among them.
const tlsRequired = "TLS"

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

// sqlState is the code of a server's error, "00000" where it gave none; "" for
// an error that is not a server's.
func sqlState(err error) string {
	refusal := (*pgconn.PgError)(nil)
	switch {
	case !errors.As(err, &refusal):
		return ""
	case refusal.Code != protocolViolation:
		return cmp.Or(refusal.Code, "00000")
	case strings.HasPrefix(refusal.Message, "no such database: "):
		return noDatabase
	}
	return cmp.Or(pooled[refusal.Message], refusal.Code)
}

// outcome is what the stage auth ended with, by what the server was seen to
// ask and answer; nil means that the secret was presented and accepted, even if
// the server then denied what comes after.
func (x *exchange) outcome(err error) error {
	state := sqlState(err)
	switch {
	case x.accepted && !x.presented:
		return probe.Found(probe.CodeSecretNotTested, "The server lets this user in without asking for the password (trust, peer or certificate in its pg_hba.conf), so nothing is proven. Have it ask for one: scram-sha-256.").At(database.FieldPassword)
	case x.accepted && state == invalidAuthorization:
		return probe.Found(probe.CodeAuthDisabled, "The server accepted the password, but the role may not sign in (NOLOGIN), or is not there. Have it granted LOGIN, or use another.").At(database.FieldUser)
	case err == nil && x.accepted, state != "" && x.accepted:
		return nil
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
	case x.presented && !x.accepted && (errors.Is(x.fault, io.EOF) || errors.Is(x.fault, syscall.ECONNRESET)):
		return probe.Found(probe.CodeTCPReset, "The server closed the connection after it was shown the password, without a word. Some do so where it is wrong; or a firewall or proxy on the way ended the connection. Check user and password, then probe again.")
	case x.fault != nil:
		return x.fault
	case x.disproved:
		return errRejected
	case !errors.As(err, &network) && x.asked == authSASLFinal:
		return probe.Found(probe.CodeProtocolMismatch, "The server did not show that it knows the password, as it must with SCRAM: it may be another than the one that is meant. Check host and port.").At(database.FieldHost)
	case !errors.As(err, &network) && x.asked != authOK && !x.presented:
		return probe.Found(probe.CodeAuthMethodUnsupported, "The server wants this user to sign in otherwise than with a password. Use a user with a password (scram-sha-256 in its pg_hba.conf), or check the credential where it is used.").At(database.FieldUser)
	}
	return err
}

// refused reads the error with which the server ended the sign-in.
func (x *exchange) refused(state string) error {
	switch {
	case x.asked == authSASLFinal && (state == invalidPassword || state == invalidAuthorization):
		return errBehind
	case x.presented && state == invalidAuthorization && x.asked == authSASLContinue:
		return errBinding
	case x.presented && state == invalidPassword,
		// Servers before 9.0 and those made from them have one code for both.
		x.presented && state == invalidAuthorization && x.asked != authCleartext:
		return errRejected
	case x.presented && state == invalidAuthorization:
		return probe.Found(probe.CodeAuthLocked, "The server passes the sign-in on to another system (LDAP, RADIUS, PAM), and there it failed: the password is wrong, the account is locked, or that system is down. Check the account there, then probe again.").At(database.FieldUser)
	case state == invalidAuthorization:
		// Refused before anything was asked: that is pg_hba.conf.
		if x.plaintext {
			return probe.Found(probe.CodeSourceIPDenied, "The server's pg_hba.conf admits no sign-in of this user to this database from this service's address without TLS. Set sslmode to verify-full, then probe again; if that is refused too, have a line for it added there.").At(database.FieldTLS)
		}
		return probe.Found(probe.CodeSourceIPDenied, "The server's pg_hba.conf admits no sign-in of this user to this database from this service's address, or only with a client's certificate. Have a line for it added there, or check user and database.")
	case state == noDatabase:
		return x.absent
	case state == tlsRequired:
		return probe.Found(probe.CodeTLSRequired, "The server takes encrypted connections only. Set sslmode to verify-full.").At(database.FieldTLS)
	}
	if f := unavailable(state); !x.presented || f != errOther {
		return f
	}
	return probe.Found(probe.CodeTargetUnavailable, "After it was shown the password the server reports an error that is not known here: of the server, of a pooler before it, or of the password. Check user and password, then ask its operator.")
}

var errRejected = probe.Found(probe.CodeAuthRejected, "The server refused user and password. Enter both again. A password that has expired there (VALID UNTIL) is refused in the same way.").At(database.FieldPassword)

// errBehind is a refusal by who has shown before, by SCRAM, that the password
// is the right one.
var errBehind = probe.Found(probe.CodeTargetUnavailable, "The password was accepted, but the sign-in that a pooler then makes at the server behind it was refused. Have the account that the pooler uses there checked.")

// errBinding is what SCRAM-SHA-256-PLUS finds before it looks at the proof:
// https://www.rfc-editor.org/rfc/rfc5802#section-6
var errBinding = probe.Found(probe.CodeAuthMethodUnsupported, "The server finds that the encrypted connection it has is not the one that begins here: a proxy between ends it, so the password was not looked at. Name the server itself, or a pooler that signs in on its own.").At(database.FieldHost)

var errNoDatabase = probe.Found(probe.CodeSecretNotTested, "There is no such database, says the server or a pooler before it, which tells nothing of the password. Check the name.").At(database.FieldName)

// unavailable words the errors that say nothing of the secret.
func unavailable(state string) probe.Finding {
	switch state {
	case tooManyConnections:
		return probe.Found(probe.CodeTargetUnavailable, "The server has no connection left, in all or for this role or database. Try again later, or have the limit raised.")
	case cannotConnectNow:
		return probe.Found(probe.CodeTargetUnavailable, "The server is starting, stopping or recovering. Try again later.")
	}
	return errOther
}

var errOther = probe.Found(probe.CodeTargetUnavailable, "The server reports an error that says nothing of the secret. Ask its operator.")

// denied concludes a sign-in that the server ended after it had accepted the
// secret.
func denied(a *probe.Attempt, err error) probe.Finding {
	switch state := sqlState(err); state {
	case noDatabase:
		a.Warn(probe.WarnResourceNotFound, database.FieldName, "The password is good, but there is no such database on the server. Check its name.")
	case noPrivilege:
		a.Warn(probe.WarnScopeMissing, database.FieldName, "The password is good, but the role may not connect to this database. Have CONNECT granted to it.")
	case notInState:
		a.Warn(probe.WarnScopeMissing, database.FieldName, "The password is good, but this database takes no connections. Have them allowed, or name another.")
	case invalidPassword:
		return a.Explain(a.Stage(probe.Access, func() error { return errBehind }))
	default:
		return a.Explain(a.Stage(probe.Access, func() error { return unavailable(state) }))
	}
	return probe.Found(probe.CodeOK, "")
}
