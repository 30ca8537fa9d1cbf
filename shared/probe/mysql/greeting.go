package mysql

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/database"
)

const (
	// maxGreeting is in bytes; usual greetings have about 100. It bounds each packet
	// of a sign-in without TLS, and with that the server's RSA key to 32,000 bits:
	// 10 ms of a core.
	maxGreeting = 4 << 10
	maxSent     = 192 << 10 // bytes of a packet to the server: a query may name hundreds of columns

	packetOK     = 0x00
	packetMore   = 0x01
	packetSwitch = 0xFE
	packetError  = 0xFF

	canTLS        = 0x800   // CLIENT_SSL
	canProtocol41 = 0x200   // CLIENT_PROTOCOL_41
	canSecure     = 0x8000  // CLIENT_SECURE_CONNECTION
	canPlugins    = 0x80000 // CLIENT_PLUGIN_AUTH
)

var errMismatch = probe.Found(probe.CodeProtocolMismatch, "The host answers on this port, but is not a MySQL or MariaDB server. Check host and port.").At(database.FieldHost)

// kind is that of MySQL: it greets with a packet of number 0.
func kind(answer []byte) error {
	if len(answer) == 5 && answer[3] == 0 && (answer[4] == 10 || answer[4] == packetError) {
		return nil
	}
	return errMismatch
}

// greeting is what the server says first.
type greeting struct {
	packet []byte // whole
	text   string // its version, as it words it
	plugin string // with which it begins the sign-in
	tls    bool
}

// version is the number alone. MariaDB up to 10 puts "5.5.5-" before its own.
func (g greeting) version() string {
	return database.Version(strings.TrimPrefix(g.text, "5.5.5-"))
}

func (g greeting) mariaDB() bool { return strings.Contains(g.text, "MariaDB") }

// readGreeting reads the greeting (protocol 10) and checks its form, which the
// driver takes for granted; or the error that comes in its place.
func readGreeting(r io.Reader) (greeting, error) {
	packet, err := readPacket(r)
	if err != nil {
		return greeting{}, err
	}
	body := packet[4:]
	if body[0] == packetError && len(body) >= 3 {
		return greeting{}, refused(binary.LittleEndian.Uint16(body[1:]), false)
	}
	// Version, then thread id, challenge, capabilities, status, the rest of the
	// challenge: 4+8+1+2, 1+2+2+1+10, and 13 bytes.
	version, rest, ok := bytes.Cut(body[1:], []byte{0})
	if body[0] != 10 || packet[3] != 0 || !ok || len(rest) < 44 {
		return greeting{}, errMismatch
	}
	can := binary.LittleEndian.Uint16(rest[13:])
	if can&canProtocol41 == 0 || can&canSecure == 0 {
		return greeting{}, errMismatch
	}
	plugin, _, _ := bytes.Cut(rest[44:], []byte{0})
	return greeting{packet: packet, text: string(version), plugin: string(plugin), tls: can&canTLS != 0}, nil
}

// readPacket reads one packet whole: three bytes for the length of the body,
// one for its number, the body, which is not empty.
func readPacket(r io.Reader) ([]byte, error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	length := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
	if length == 0 || length > maxGreeting {
		return nil, errMismatch
	}
	packet := append(header, make([]byte, length)...)
	_, err := io.ReadFull(r, packet[4:])
	return packet, err
}

// leave ends a connection on which nothing of the credential may be sent, in
// the way that costs nothing: it finishes the handshake as nobody, without a
// password. A server counts handshakes that break off, and blocks the address
// they come from (max_connect_errors, 100 by default). What it answers, and
// whether it does, changes nothing.
func leave(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(time.Second))
	response := binary.LittleEndian.AppendUint32(make([]byte, 4), canProtocol41|canSecure|canPlugins)
	response = binary.LittleEndian.AppendUint32(response, maxSent)
	response = append(response, 45) // utf8mb4_general_ci
	response = append(response, make([]byte, 23)...)
	response = append(response, 0, 0) // no user, no proof
	response = append(response, "mysql_native_password\x00"...)
	response[0], response[3] = byte(len(response)-4), 1
	for range 3 { // a server may ask for another proof, once or twice
		if _, err := c.Write(response); err != nil {
			return
		}
		answer, err := readPacket(c)
		if err != nil {
			return
		}
		switch answer[4] {
		case packetSwitch:
			response = []byte{0, 0, 0, answer[3] + 1}
		case packetOK:
			_, _ = c.Write([]byte{1, 0, 0, 0, 1}) // COM_QUIT
			return
		default:
			return
		}
	}
}
