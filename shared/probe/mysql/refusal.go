package mysql

import (
	"errors"

	driver "github.com/go-sql-driver/mysql"

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

func errno(err error) uint16 {
	if refusal := (*driver.MySQLError)(nil); errors.As(err, &refusal) {
		return refusal.Number
	}
	return 0
}

var errMethod = probe.Found(probe.CodeAuthMethodUnsupported, "The account signs in by a method that a probe does not use (PAM, LDAP, Kerberos, unix_socket, passwords of before 4.1 …); MariaDB may answer so, too, where there is no such account. Check the user; use one with caching_sha2_password, mysql_native_password or ed25519.").At(database.FieldUser)

// errTLSWanted is a refusal without TLS by a server that offers it. An account
// or server that demands TLS refuses the right password with the very same
// error, so it is no verdict; and it stops, since the password may be wrong.
var errTLSWanted = probe.Found(probe.CodeAuthMethodUnsupported, "The server refused the sign-in without TLS, which it offers: it may demand TLS of this account, or user or password may be wrong, which cannot be told apart. Set sslmode to verify-full, then probe again.").At(database.FieldTLS)

// errBehind is a refusal of a question after the sign-in.
var errBehind = probe.Found(probe.CodeTargetUnavailable, "The sign-in was accepted, but the one that a proxy then makes at the server behind it was refused. Have the account that the proxy uses there checked.")

// refused reads the error with which the server ended the sign-in. presented
// is false for one that came in place of the greeting.
func refused(number uint16, presented bool) probe.Finding {
	switch number {
	case errAccessDenied:
		if presented {
			return probe.Found(probe.CodeAuthRejected, "The server refused user and password. Enter both again; the account must also admit this service's address (user@host), and must not ask for a client's certificate.").At(database.FieldPassword)
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
	case errHostNotPrivileged:
		return probe.Found(probe.CodeSourceIPDenied, "The server has no account that may sign in from this service's address. Have one created for it (user@host).")
	case errSecureTransport:
		return probe.Found(probe.CodeTLSRequired, "The server takes encrypted connections only. Set sslmode to verify-full.").At(database.FieldTLS)
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
		return probe.Found(probe.CodeRateLimited, "The account has used up what it may do in an hour (MAX_CONNECTIONS_PER_HOUR and the like). Try again later, or have the limit raised.")
	case errShuttingDown:
		return probe.Found(probe.CodeTargetUnavailable, "The server is shutting down. Try again later.")
	}
	return probe.Found(probe.CodeTargetUnavailable, "The server reports error %d, which says nothing of the secret. Ask its operator.", int(number))
}
