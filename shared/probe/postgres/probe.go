// Package postgres probes credentials of PostgreSQL and of servers that speak
// its protocol: https://www.postgresql.org/docs/current/protocol.html
package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"credence/shared/probe"
	"credence/shared/probe/database"
	"credence/shared/probe/netguard"
)

// Prober probes credentials of the type postgres. The zero value is ready.
type Prober struct{}

var _ probe.Prober = Prober{}

// Ports are those of database servers.
func (Prober) Ports() netguard.Ports { return database.Ports }

// Probe signs in once and runs SELECT 1. The driver is handed a connection and
// nothing that could lead it to another: no address, no file, no fallback.
func (Prober) Probe(ctx context.Context, a *probe.Attempt) probe.Finding {
	login, err := database.Read(a)
	if err != nil {
		return a.Explain(err)
	}
	s, f := signIn(ctx, a, login, errNoDatabase)
	if s == nil {
		return f
	}
	defer s.close(ctx)
	if s.denial != nil {
		return denied(a, s.denial)
	}
	if err := a.Stage(probe.Access, func() error { return s.selectOne(ctx) }); err != nil {
		return a.Explain(err)
	}
	s.tellFacts(ctx, a)
	return probe.Found(probe.CodeOK, "")
}

// session is a connection whose secret the server accepted.
type session struct {
	exchange
	raw    net.Conn
	conn   *pgconn.PgConn // nil if there is a denial
	denial error          // what the server said after it had accepted the secret
}

// signIn connects and signs in, once. Without a session, what was found is the
// end; absent is that end where something before the server knows, before it
// looks at the secret, that there is no such database.
func signIn(ctx context.Context, a *probe.Attempt, login database.Login, absent probe.Finding) (*session, probe.Finding) {
	raw, err := login.Dial(ctx, a, kind)
	if f := (probe.Finding{}); errors.As(err, &f) {
		return nil, f
	}
	s := &session{exchange: exchange{attempt: a, login: login, absent: absent, ended: ctx.Done()}, raw: raw}
	conn := raw
	if !login.Plaintext() {
		conn, err = encrypt(ctx, a, login, raw)
	}
	if err == nil {
		err = a.Stage(probe.Auth, func() error {
			config, err := configure(login, conn, &s.exchange)
			if err != nil {
				return probe.Found(probe.CodeProbeInternal, "")
			}
			defer s.computed()
			s.conn, s.denial = pgconn.ConnectConfig(ctx, config)
			return s.outcome(s.denial)
		})
	}
	if err != nil {
		s.close(ctx)
		return nil, a.Explain(err)
	}
	return s, probe.Finding{}
}

func (s *session) close(ctx context.Context) {
	if s.conn != nil {
		_ = s.conn.Close(ctx)
	}
	_ = s.raw.Close()
}

// encrypt asks the server for TLS and runs the handshake. The answer is read
// as the one byte it is: what a man in the middle might have put behind it
// never reaches the driver as the server's word (CVE-2021-23222).
func encrypt(ctx context.Context, a *probe.Attempt, login database.Login, raw net.Conn) (net.Conn, error) {
	err := a.Stage(probe.Protocol, func() error {
		request, answer := binary.BigEndian.AppendUint64(nil, 8<<32|80877103), make([]byte, 1)
		if _, err := raw.Write(request); err != nil {
			return err
		}
		if _, err := io.ReadFull(raw, answer); err != nil {
			return err
		}
		switch answer[0] {
		case 'S':
			return nil
		case 'N':
			return probe.Found(probe.CodeTLSUnsupported, "The server does not support encrypted connections. Have TLS turned on there (ssl = on); without it a secret is sent only to addresses that the operator of this service allows, with sslmode disable.").At(database.FieldTLS)
		case 'E': // in words that may not be its own
			return unavailable("")
		}
		return errMismatch
	})
	if err != nil {
		return nil, err
	}
	c, err := login.Encrypt(ctx, a, raw)
	if err != nil {
		return nil, err // not c: a nil *tls.Conn is no nil net.Conn
	}
	return c, nil
}

var errDialled = errors.New("dialling again: a probe has one connection")

// configure makes the driver's configuration. ParseConfig alone makes one; it
// is given a constant that leaves nothing to be looked up, and whatever else
// it reads of the environment is put back.
func configure(login database.Login, conn net.Conn, x *exchange) (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig("host=server port=5432 user=user password=password dbname=database sslmode=disable")
	if err != nil {
		return nil, err
	}
	config.User, config.Password, config.Database = login.User, login.Password.ExposeText(), login.Name
	config.TLSConfig, config.Fallbacks, config.RuntimeParams = nil, nil, map[string]string{}
	config.ConnectTimeout, config.SSLNegotiation, config.SSLCertMode = 0, "", ""
	config.MinProtocolVersion, config.MaxProtocolVersion = "3.0", "3.0"
	config.KerberosSrvName, config.KerberosSpn, config.OAuthTokenProvider = "", "", nil
	config.ChannelBinding = "prefer"
	// A server that asks for no password proves nothing of one.
	config.RequireAuth = "password,md5,scram-sha-256"
	config.ValidateConnect, config.AfterConnect, config.AfterNetConnect = nil, nil, nil
	config.OnNotice, config.OnNotification = nil, nil
	config.MaxProtocolMessageBodyLen = maxMessage
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		c := conn
		if conn = nil; c == nil { // the driver's own second connection, to cancel a query
			return nil, errDialled
		}
		return c, nil
	}
	x.prepare = func() { config.Password = prepared(config.Password) }
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		x.reader, x.writer = r, w
		return pgproto3.NewFrontend(x, x)
	}
	return config, nil
}
