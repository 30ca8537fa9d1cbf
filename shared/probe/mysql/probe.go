// Package mysql probes credentials of MySQL, MariaDB and servers that speak
// their protocol:
// https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html
package mysql

import (
	"context"
	"crypto/tls"
	"errors"
	"net"

	driver "github.com/go-sql-driver/mysql"

	"credence/shared/probe"
	"credence/shared/probe/database"
	"credence/shared/probe/netguard"
)

// Prober probes credentials of the type mysql. The zero value is ready.
type Prober struct{}

var _ probe.Prober = Prober{}

// Ports are those of database servers.
func (Prober) Ports() netguard.Ports { return database.Ports }

// Probe signs in once, without a database, so that what it is denied
// afterwards is told apart from the sign-in, then uses the database and runs
// SELECT 1. The driver is handed a connection and nothing that could lead it
// to another.
func (Prober) Probe(ctx context.Context, a *probe.Attempt) probe.Finding {
	login, err := database.Read(a)
	if err != nil {
		return a.Explain(err)
	}
	s, f := open(ctx, a, login)
	if s == nil {
		return f
	}
	defer s.close()
	return s.proven(ctx, a, login)
}

// open connects and signs in, once. Without a session, what was found is the
// end.
func open(ctx context.Context, a *probe.Attempt, login database.Login) (*session, probe.Finding) {
	s, l, f := connect(ctx, a, login)
	if l != nil && l.phase == misread {
		s, _, f = connect(ctx, a, login)
	}
	return s, f
}

func connect(ctx context.Context, a *probe.Attempt, login database.Login) (*session, *line, probe.Finding) {
	conn, err := login.Dial(ctx, a, kind)
	if f := (probe.Finding{}); errors.As(err, &f) {
		return nil, nil, f
	}
	var hello greeting
	err = a.Stage(probe.Protocol, func() (err error) {
		hello, err = readGreeting(conn)
		if err == nil && !login.Plaintext() && !hello.tls {
			leave(conn)
			return probe.Found(probe.CodeTLSUnsupported, "The server does not support encrypted connections. Have TLS turned on there; without it a secret is sent only to addresses that the operator of this service allows, with sslmode disable.").At(database.FieldTLS)
		}
		return err
	})
	l := &line{Conn: conn, attempt: a, hello: hello, plaintext: login.Plaintext(), unread: hello.packet, plugin: hello.plugin}
	var s *session
	if err == nil {
		err = a.Stage(probe.Auth, func() error {
			config, err := configure(a, login, l)
			if err != nil {
				return err
			}
			s, err = signIn(ctx, config, l)
			return l.outcome(err)
		})
	}
	if err != nil {
		_ = conn.Close()
		return nil, l, a.Explain(err)
	}
	return s, l, probe.Finding{}
}

// proven finds out what the account that signed in may do, and that the server
// has it. What is denied is told last: a warning says that the password is good.
func (s *session) proven(ctx context.Context, a *probe.Attempt, login database.Login) probe.Finding {
	a.Fact("server_version", s.line.hello.version())
	denied := s.use(ctx, login.Name)
	number := errno(denied)
	if number != errNoDatabase && number != errWrongName && number != errDatabaseDenied {
		err := a.Stage(probe.Access, func() error {
			err := denied
			if err == nil {
				err = s.selectOne(ctx)
			}
			switch number := errno(err); number {
			case 0:
				return s.line.cause(err)
			case errAccessDenied:
				return errBehind
			default:
				return unavailable(number)
			}
		})
		if err != nil {
			return a.Explain(err)
		}
	}
	s.tellFacts(ctx, a)
	if s.stranger(ctx) {
		return a.Explain(a.Stage(probe.Auth, func() error { return errStranger }))
	}
	switch number {
	case errNoDatabase, errWrongName:
		a.Warn(probe.WarnResourceNotFound, database.FieldName, "The password is good, but there is no such database on the server. Check its name.")
	case errDatabaseDenied:
		a.Warn(probe.WarnScopeMissing, database.FieldName, "The password is good, but the account may not use this database, or it is not there. Have a right to it granted, or check its name.")
	}
	return probe.Found(probe.CodeOK, "")
}

var errDialled = errors.New("dialling again: a probe has one connection")

// configure makes the driver's configuration. Everything that a connection
// text could turn on is off.
func configure(a *probe.Attempt, login database.Login, l *line) (*driver.Config, error) {
	config := driver.NewConfig()
	config.User, config.Passwd = login.User, login.Password.ExposeText()
	config.Net, config.Addr, config.DBName = "tcp", "server:3306", ""
	config.AllowAllFiles, config.AllowCleartextPasswords, config.AllowFallbackToPlaintext, config.AllowOldPasswords = false, false, false, false
	config.AllowNativePasswords = true
	config.MultiStatements, config.InterpolateParams, config.CheckConnLiveness = false, false, false
	config.MaxAllowedPacket = maxSent
	config.Logger = l
	used := false
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		if used {
			return nil, errDialled
		}
		used = true
		return l, nil
	}
	if login.Plaintext() {
		// Here the driver may take the server's RSA key on trust, to send the
		// password under it: Dial let only addresses through that the operator
		// listed for plaintext.
		return config, nil
	}
	secure, err := login.TLS(a)
	if err != nil {
		return nil, err
	}
	verify := secure.VerifyConnection
	secure.VerifyConnection = func(state tls.ConnectionState) error {
		if err := verify(state); err != nil {
			return err
		}
		l.phase = secured
		return nil
	}
	config.TLS = secure
	return config, nil
}
