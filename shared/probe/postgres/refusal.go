package postgres

import (
	"cmp"
	"errors"
	"net"

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
)

// sqlState is the code of a server's error, "00000" where it gave none; "" for
// an error that is not a server's.
func sqlState(err error) string {
	if refusal := (*pgconn.PgError)(nil); errors.As(err, &refusal) {
		return cmp.Or(refusal.Code, "00000")
	}
	return ""
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
	case x.fault != nil:
		return x.fault
	case !errors.As(err, &network) && x.asked != authOK && !x.presented:
		return probe.Found(probe.CodeAuthMethodUnsupported, "The server wants this user to sign in otherwise than with a password. Use a user with a password (scram-sha-256 in its pg_hba.conf), or check the credential where it is used.").At(database.FieldUser)
	}
	return err
}

// refused reads the error with which the server ended the sign-in.
func (x *exchange) refused(state string) error {
	switch {
	case x.presented && state == invalidPassword,
		// Servers before 9.0 and those made from them have one code for both.
		x.presented && state == invalidAuthorization && x.asked != authCleartext:
		return probe.Found(probe.CodeAuthRejected, "The server refused user and password. Enter both again. A password that has expired there (VALID UNTIL) is refused in the same way.").At(database.FieldPassword)
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
	}
	return unavailable(state)
}

var errNoDatabase = probe.Found(probe.CodeSecretNotTested, "There is no such database, says the server or a pooler before it, and it did not look at the password. Check the name.").At(database.FieldName)

// unavailable words the errors that say nothing of the secret.
func unavailable(state string) probe.Finding {
	switch state {
	case tooManyConnections:
		return probe.Found(probe.CodeTargetUnavailable, "The server has no connection left, in all or for this role or database. Try again later, or have the limit raised.")
	case cannotConnectNow:
		return probe.Found(probe.CodeTargetUnavailable, "The server is starting, stopping or recovering. Try again later.")
	}
	return probe.Found(probe.CodeTargetUnavailable, "The server reports an error that says nothing of the secret. Ask its operator.")
}

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
	default:
		return a.Explain(a.Stage(probe.Access, func() error { return unavailable(state) }))
	}
	return probe.Found(probe.CodeOK, "")
}
