package mysql

import (
	"errors"

	driver "github.com/go-sql-driver/mysql"

	"credence/shared/pattern"
	"credence/shared/probe"
	"credence/shared/probe/database"
)

// Error numbers of MySQL and MariaDB. Where the two differ, the number is of
// one alone and free at the other.
// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
// https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference
const (
	errTooManyConnections = 1040
	errDatabaseDenied     = 1044
	errAccessDenied       = 1045
	errNoDatabase         = 1049
	errWrongName          = 1102 // no database can have this name
	errShuttingDown       = 1053
	errHostBlocked        = 1129
	errHostNotPrivileged  = 1130
	errUserConnections    = 1203
	errUserLimit          = 1226
	errAuthMode           = 1251
	errOldPasswordsOff    = 1275
	errUnknown            = 1105 // of gateways that choose a server by the user name, too
	errNoPlugin           = 1524
	errDeniedNoPassword   = 1698 // the account signs in by who asks, as with unix_socket
	errMustChange         = 1820 // only at the first statement
	errMustChangeLogin    = 1862
	errAccountLocked      = 3118 // MySQL
	errSecureTransport    = 3159
	errPasswordLock       = 3955 // MySQL: after too many failed sign-ins
	errUserBlocked        = 4150 // MariaDB: after too many failed sign-ins
	errAccountLockedMaria = 4151 // MariaDB
)

// unrouted is the field that a gateway blames for leading to no server.
func unrouted(err error) probe.Field {
	refusal := (*driver.MySQLError)(nil)
	if !errors.As(err, &refusal) {
		return ""
	}
	return database.Unrouted(refusal.Message)
}

// Errors of proxies about the server behind them.
// https://proxysql.com/documentation/error-codes/
// https://mariadb.com/docs/maxscale
const (
	errAzureAddress     = 9000 // Azure: the firewall has no rule for the address
	errProxySQLTimeout  = 9001 // no server of the hostgroup took a connection
	errAzureGateway     = 9002 // Azure: no TLS, or a user name that names no server
	errRDSProxyTimeout  = 9501 // no connection of the pool became free
	errMaxScaleKilled   = 1927
	errMaxScaleInternal = 1815
	errCannotConnect    = 2003
	errGone             = 2006
	errLost             = 2013
)

func errno(err error) uint16 {
	if refusal := (*driver.MySQLError)(nil); errors.As(err, &refusal) {
		return refusal.Number
	}
	return 0
}

var errMethod = probe.Found(probe.CodeAuthMethodUnsupported, "The account authenticates by a method that a probe does not use (PAM, LDAP, IAM, Kerberos, unix_socket, passwords from before 4.1 …). MariaDB may answer so also if there is no such account. Check the user name; use an account with caching_sha2_password, mysql_native_password or ed25519.").At(database.FieldUser)

// errTLSWanted is a refusal without TLS by a server that offers it. An account
// or server that demands TLS refuses the right password with the very same
// error, so it is no verdict; and it stops, since the password may be wrong.
var errTLSWanted = probe.Found(probe.CodeAuthMethodUnsupported, "The server rejected the sign-in without TLS, which it supports: the account may require TLS, or the user name or the password is wrong. Set sslmode to verify-full, then probe again.").At(database.FieldTLS)

var errWithCertificate = probe.Found(probe.CodeAuthRejected, "The server rejected the user name or the password with this client certificate. Enter the password again; the certificate must have the issuer and subject that the account requires (REQUIRE), and the account must admit this service's address (user@host).").At(database.FieldPassword)

var errSecure = probe.Found(probe.CodeTLSRequired, "The server accepts only encrypted connections. Set sslmode to verify-full.").At(database.FieldTLS)

// secureWanted is what ProxySQL, Azure and PlanetScale say to a client without TLS,
// under codes of several causes: https://github.com/sysown/proxysql,
// https://github.com/cloudreve/cloudreve/issues/1604
var secureWanted = pattern.New(`(?i)SSL (connection )?is required|does not allow insecure connections`)

// errUntold is a refusal by a server that requests a client certificate, of a
// sign-in without one. An account that requires one (REQUIRE X509) refuses the
// right password with the very same error, and MariaDB and MySQL request one of
// everybody, so nothing tells the two apart: docs/decisions/0013-mysql-1045.md.
var errUntold = probe.Found(probe.CodeAuthRejected, "The server rejected the sign-in without a reason: the user name or the password is wrong, or the account requires a client certificate (REQUIRE X509), or does not admit this service's address (user@host). Enter user and password again. If they are right, enter the certificate in tls.client_certificate.").At(database.FieldPassword)

// errBehind is a refusal of a question after the sign-in.
var errBehind = probe.Found(probe.CodeTargetUnavailable, "A proxy accepted the sign-in, and the server behind it then rejected the proxy. Have the account that the proxy uses there checked.")

// refused reads the error with which the server ended the sign-in. One code has
// several causes, of which the connection rules some out.
func (l *line) refused(err error) error {
	number := errno(err)
	f := refused(number, l.phase > greeted)
	refusal := (*driver.MySQLError)(nil)
	switch {
	case (number == errAccessDenied || number == errAzureGateway || number == errUnknown) && errors.As(err, &refusal) && secureWanted.MatchString(refusal.Message):
		return errSecure
	case number == errAzureGateway:
		return database.NoRoute(database.FieldUser)
	case f.Code != probe.CodeAuthRejected:
		return f
	case l.plaintext && l.hello.tls:
		return errTLSWanted
	case l.attempt.CertificateSent():
		return errWithCertificate
	case l.attempt.CertificateRequested():
		return errUntold
	}
	return f
}

// refused reads the error with which the server ended the sign-in. presented
// is false for one that came in place of the greeting.
func refused(number uint16, presented bool) probe.Finding {
	switch number {
	case errAccessDenied:
		if presented {
			return probe.Found(probe.CodeAuthRejected, "The server rejected the user name or the password. Enter both again. The account must also admit this service's address (user@host).").At(database.FieldPassword)
		}
	case errMustChange, errMustChangeLogin:
		if presented {
			return probe.Found(probe.CodeAuthExpired, "The password has expired at the server. Set a new one there (ALTER USER), then enter it here.").At(database.FieldPassword)
		}
	case errAccountLocked, errAccountLockedMaria:
		return probe.Found(probe.CodeAuthLocked, "The account is locked at the server. Have it unlocked there (ALTER USER … ACCOUNT UNLOCK), then probe again.").At(database.FieldUser)
	case errPasswordLock, errUserBlocked:
		return probe.Found(probe.CodeAuthLocked, "The account is locked at the server after too many failed sign-ins. Have it unlocked there, then probe again.").At(database.FieldUser)
	case errHostBlocked:
		return probe.Found(probe.CodeHostBlocked, "The server has blocked this service's address after too many broken connections (max_connect_errors). Have FLUSH HOSTS run there, then probe again.")
	case errAzureAddress:
		return probe.Found(probe.CodeSourceIPDenied, "The server's firewall does not admit this service's address. Add the egress addresses of this service to it.")
	case errHostNotPrivileged:
		return probe.Found(probe.CodeSourceIPDenied, "The server has no account that may authenticate from this service's address. Have one created for it (user@host).")
	case errSecureTransport:
		return errSecure
	case errDatabaseDenied, errNoDatabase:
		return probe.Found(probe.CodeSecretNotTested, "A proxy before the server rejected the sign-in because of a database, and the password was not tested. Check the name, and the database that the proxy has for this account.").At(database.FieldName)
	case errAuthMode, errOldPasswordsOff, errNoPlugin, errDeniedNoPassword:
		return errMethod
	}
	return unavailable(number)
}

// unavailable words the errors that say nothing of the secret.
func unavailable(number uint16) probe.Finding {
	switch number {
	case errTooManyConnections, errUserConnections:
		return probe.Found(probe.CodeTargetUnavailable, "The server has no connection left, in all or for this account. Try again later, or have the limit raised.")
	case errUserLimit:
		return probe.Found(probe.CodeRateLimited, "The account has reached one of its limits (max_user_connections, MAX_CONNECTIONS_PER_HOUR and the like). Try again later, or have the limit raised.")
	case errProxySQLTimeout, errRDSProxyTimeout, errMaxScaleKilled, errMaxScaleInternal, errCannotConnect, errGone, errLost:
		return probe.Found(probe.CodeTargetUnavailable, "A proxy answers there, and reports that no server behind it could be reached (error %d). Have the proxy's servers checked, then probe again.", int(number))
	case errShuttingDown:
		return probe.Found(probe.CodeTargetUnavailable, "The server is shutting down. Try again later.")
	}
	return probe.Found(probe.CodeTargetUnavailable, "The server reports error %d, which is not about the password. Look the error up in its documentation, or contact its operator.", int(number))
}
