package connector

import (
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"strings"

	"credence/shared/fault"
)

// The groups are fields that many types share.

// SSHTunnel is a target behind an SSH bastion.
func SSHTunnel() []Field {
	return []Field{
		{Name: "has_ssh_tunnel", Kind: Bool, Title: "Reached through an SSH bastion", Public: true},
		{Name: "tunnel.bastion.host", Kind: Text, Title: "Host of the bastion", Destination: true, Public: true, Check: CheckHost},
		{Name: "tunnel.bastion.port", Kind: Number, Title: "Port of the bastion", Destination: true, Public: true, Min: 1, Max: 65535},
		{Name: "tunnel.bastion.user", Kind: Text, Title: "User at the bastion"},
	}
}

// FileEncryption is PGP encryption of the files themselves.
func FileEncryption() []Field {
	return []Field{
		{Name: "file_encryption_enabled", Kind: Bool, Title: "Files are encrypted"},
		{Name: "encrypt.standard", Kind: Text, Title: "Encryption standard"},
		{Name: "external.user.id", Kind: Text, Title: "User id of the other side's key"},
		{Name: "external.public.key", Kind: Text, Title: "Public key of the other side"},
		{Name: "encrypt.user.id", Kind: Text, Title: "User id of the own key"},
		{Name: "encrypt.private.password", Kind: Text, Title: "Password of the private key", Secret: true},
		{Name: "encrypt.private.key", Kind: Text, Title: "Private key", Secret: true},
	}
}

// BucketEncryption is encryption of objects by the client or the store.
func BucketEncryption() []Field {
	return []Field{
		{Name: "has_client_encryption", Kind: Bool, Title: "Encrypted by the client"},
		{Name: "encryption_mode", Kind: Text, Title: "Encryption mode"},
		{Name: "kms_key", Kind: Text, Title: "KMS key of the client"},
		{Name: "sse.enabled", Kind: Bool, Title: "Encrypted by the store"},
		{Name: "sse.kms_key.arn", Kind: Text, Title: "KMS key of the store"},
	}
}

// OAuth is sign-in with tokens of an OAuth 2 provider (RFC 6749).
func OAuth() []Field {
	return []Field{
		{Name: "auth.type", Kind: Text, Title: "Way to sign in"},
		{Name: "oauth2.client.id", Kind: Text, Title: "Client id", Identity: true},
		{Name: "oauth2.client.secret", Kind: Text, Title: "Client secret", Secret: true},
		{Name: "oauth2.access.token.url", Kind: Text, Title: "Token address", Destination: true, Check: CheckURL},
		{Name: "access_token", Kind: Text, Title: "Access token", Secret: true},
		{Name: "vendor.access_token", Kind: Text, Title: "Access token of the vendor", Secret: true},
		{Name: "vendor.refresh_token", Kind: Text, Title: "Refresh token of the vendor", Secret: true},
	}
}

// Database is a server that a user signs in to with a password.
func Database(port string) []Field {
	return []Field{
		{Name: "host", Kind: Text, Title: "Host", Help: "Name or address, without scheme and port.", Destination: true, Public: true, MaxBytes: 253, Check: CheckHost},
		{Name: "port", Kind: Number, Title: "Port", Help: port + " where it is left out.", Destination: true, Public: true, Min: 1, Max: 65535},
		{Name: "username", Also: []string{"user"}, Kind: Text, Title: "User name", Identity: true, Public: true},
		{Name: "password", Kind: Text, Title: "Password", Secret: true},
		{Name: "database_name", Also: []string{"database"}, Kind: Text, Title: "Database", Public: true},
		{
			Name: "sslmode", Kind: Text, Title: "TLS", Destination: true, Public: true, OneOf: []string{"verify-full", "verify-ca", "require", "disable"},
			Help: "verify-full where it is left out; disable only towards addresses that the operator allows.",
		},
		CACertificate(),
	}
}

// CACertificate lets a credential bring the certificates that its server's
// chain ends in.
func CACertificate() Field {
	return Field{
		Name: "tls.ca_certificate", Kind: Text, Title: "CA certificates", Help: "PEM, at most ten; only these are trusted then.",
		Destination: true, MaxBytes: 16 << 10, Check: checkCertificates, Lines: true,
	}
}

func checkCertificates(text string) (code, message string) {
	rest := []byte(text)
	for n := 0; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if n == 0 || n > 10 || strings.TrimSpace(string(rest)) != "" {
				break
			}
			return "", ""
		}
		if block.Type != "CERTIFICATE" {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			break
		}
	}
	return fault.DetailMalformed, "Send one to ten certificates in PEM, and nothing else."
}

// CheckHost takes a host name or an address.
func CheckHost(text string) (code, message string) {
	if strings.ContainsAny(text, " \t/\\@,?#%\"'<>") || strings.HasPrefix(text, "-") {
		return fault.DetailMalformed, "Send one host name or address, without scheme, user, port, path or spaces."
	}
	return "", ""
}

// CheckURL takes an absolute http or https URL that holds no user and no
// fragment.
func CheckURL(text string) (code, message string) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || strings.ContainsAny(text, " \t") {
		return fault.DetailMalformed, "Send a whole URL, such as https://api.example.com/v1."
	}
	if u.User != nil || u.Fragment != "" {
		return fault.DetailMalformed, "Leave user, password and fragment out of the URL; secrets have fields of their own."
	}
	return "", ""
}
