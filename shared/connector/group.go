package connector

import "slices"

// The groups are fields that many types share.

// SSHTunnel is a target behind an SSH bastion.
func SSHTunnel() []Field {
	return []Field{
		{Name: "has_ssh_tunnel", Kind: Bool, Title: "Reached through an SSH bastion", Destination: true, Public: true},
		{Name: "tunnel.bastion.host", Kind: Text, Title: "Host of the bastion", Destination: true, Public: true, MaxBytes: 253, Check: CheckHost},
		{Name: "tunnel.bastion.port", Kind: Number, Title: "Port of the bastion", Destination: true, Public: true, Min: 1, Max: 65535, Default: 22},
		{Name: "tunnel.bastion.user", Kind: Text, Title: "User at the bastion", Destination: true, Public: true},
	}
}

// FileEncryption is PGP encryption of the files themselves.
func FileEncryption() []Field {
	return []Field{
		{Name: "file_encryption_enabled", Kind: Bool, Title: "Files are encrypted", Public: true},
		{Name: "encrypt.standard", Kind: Text, Title: "Encryption standard", Public: true},
		{Name: "external.user.id", Kind: Text, Title: "User id of the other side's key", Public: true},
		{Name: "external.public.key", Kind: Text, Title: "Public key of the other side"},
		{Name: "encrypt.user.id", Kind: Text, Title: "User id of the own key", Public: true},
		{Name: "encrypt.private.password", Kind: Text, Title: "Password of the private key", Secret: true},
		{Name: "encrypt.private.key", Kind: Text, Title: "Private key", Secret: true},
	}
}

// BucketEncryption is encryption of objects by the client or the store.
func BucketEncryption() []Field {
	return []Field{
		{Name: "has_client_encryption", Kind: Bool, Title: "Encrypted by the client", Public: true},
		{Name: "encryption_mode", Kind: Text, Title: "Encryption mode", Public: true},
		{Name: "kms_key", Kind: Text, Title: "KMS key of the client", Public: true},
		{Name: "sse.enabled", Kind: Bool, Title: "Encrypted by the store", Public: true},
		{Name: "sse.kms_key.arn", Kind: Text, Title: "KMS key of the store", Public: true},
	}
}

// Vendor is what an OAuth 2 consent with a vendor left behind.
func Vendor() []Field {
	return []Field{
		{Name: "vendor.name", Kind: Text, Title: "Vendor", Public: true},
		{Name: "vendor.access_token", Kind: Text, Title: "Access token of the vendor", Secret: true},
		{Name: "vendor.refresh_token", Kind: Text, Title: "Refresh token of the vendor", Secret: true},
		{Name: "vendor.token_type", Kind: Text, Title: "Type of the vendor's token", Public: true},
		{Name: "vendor.scopes", Kind: Text, Title: "Scopes of the vendor's token", Public: true},
		{Name: "vendor.last_refreshed_at", Kind: Text, Title: "Time of the last refresh", Public: true},
		{Name: "vendor.has_token_expiration_ts", Kind: Bool, Title: "The vendor's token expires", Public: true},
		{Name: "vendor.token_expires_in", Kind: Number, Title: "Life of the vendor's token, seconds", Public: true},
		{Name: "vendor.other_info", Kind: Text, Title: "More of the vendor's answer", Secret: true},
	}
}

// OAuth is sign-in with tokens of an OAuth 2 provider (RFC 6749), for types
// whose discriminator for it is auth.type. OAuthMethods has its ways.
func OAuth() []Field {
	return slices.Concat([]Field{
		{Name: "auth.type", Kind: Text, Title: "Way to sign in", Public: true, OneOf: []string{"OAUTH2"}},
		{Name: "oauth2.client.id", Kind: Text, Title: "Client id", Identity: true, Public: true},
		{Name: "oauth2.client.secret", Kind: Text, Title: "Client secret", Secret: true},
		{Name: "oauth2.access.token.url", Kind: Text, Title: "Token address", Destination: true, Check: CheckURL, Public: true, Shown: Origin},
		{Name: "access_token", Kind: Text, Title: "Access token", Secret: true},
	}, Vendor())
}

// OAuthMethods are the ways to sign in with the fields of OAuth: a token that
// is at hand, one that the vendor gave, or the client's own secret. when is what
// the type's other discriminators say for them. example is an object that holds
// access_token.
func OAuthMethods(when map[string]string, example string) []Method {
	named := map[string]string{"auth.type": "OAUTH2"}
	for name, value := range when {
		named[name] = value
	}
	way := func(needs ...string) Method { return Method{Name: "OAUTH2", When: named, Needs: needs} }
	token := way("access_token")
	token.Example = []byte(example)
	return []Method{
		token, way("vendor.access_token"), way("vendor.refresh_token"),
		way("oauth2.client.id", "oauth2.client.secret", "oauth2.access.token.url"),
	}
}

// Database is a server that a user signs in to with a password. port is the
// usual one of its kind.
func Database(port int64) []Field {
	return []Field{
		{Name: "host", Near: []string{"server", "address", "addr", "hostaddr", "host_address", "endpoint", "fqdn", "ip"}, Kind: Text, Title: "Host", Help: "A name or an address, without scheme and port.", Destination: true, Identity: true, Public: true, MaxBytes: 253, Check: CheckHost},
		{Name: "port", Near: []string{"port_number", "tcp_port", "server_port"}, Kind: Number, Title: "Port", Destination: true, Identity: true, Public: true, Min: 1, Max: 65535, Default: port},
		{Name: "username", Also: []string{"user"}, Near: []string{"login", "uid", "user_id", "account", "role"}, Kind: Text, Title: "User name", Identity: true, Public: true},
		{Name: "password", Near: []string{"pwd", "passphrase", "secret"}, Kind: Text, Title: "Password", Secret: true},
		{Name: "database_name", Also: []string{"database"}, Near: []string{"dbname", "db", "catalog", "initial_catalog"}, Kind: Text, Title: "Database", Destination: true, Public: true},
		{
			Name: "sslmode", Near: []string{"ssl", "tls", "tls_mode", "use_ssl", "encrypt"}, Kind: Text, Title: "TLS", Destination: true, Public: true, OneOf: []string{"verify-full", "verify-ca", "require", "disable"},
			Help: "verify-full where it is left out; disable only towards addresses that the operator allows.",
		},
		CACertificate(),
		{Name: "tls.client_certificate", Near: []string{"sslcert", "ssl_cert", "client_cert", "client_certificate"}, Kind: Text, Title: "Client certificate", Help: "PEM, with its chain, where the server requires one.", Lines: true, PEM: true, Check: CheckCertificates},
		{Name: "tls.client_key", Near: []string{"sslkey", "ssl_key", "client_key"}, Kind: Text, Title: "Private key of the client certificate", Help: "PEM, without a passphrase.", Secret: true, PEM: true, Check: CheckPEM},
	}
}

// CACertificate lets a credential bring the certificates that its server's
// chain ends in.
func CACertificate() Field {
	return Field{
		Name: "tls.ca_certificate", Near: []string{"sslrootcert", "ssl_ca", "ca", "ca_cert", "ca_certificate", "cafile", "root_cert"}, Kind: Text, Title: "CA certificates", Help: "PEM, at most 256; only these are trusted then.",
		Destination: true, MaxBytes: 224 << 10, Check: CheckCertificates, Lines: true, PEM: true,
	}
}

// ServiceAccount is the key of a Google Cloud service account: as an object, as
// its text, or as clients of the published API send it, in base64.
func ServiceAccount() []Field {
	return []Field{
		{Name: "is_service_account", Kind: Bool, Title: "Signs in as a service account", Public: true},
		{
			Name: "json_creds", Encoded: []string{"service_account_key"}, Near: []string{"key_file", "keyfile", "json_key", "service_account", "credentials_json"}, Kind: Object, Title: "Service account's key",
			Help: "The JSON of the key file, or its text.", Secret: true, PEM: true, Check: CheckServiceAccount,
		},
		{Name: "project_id", Near: []string{"project_name", "gcp_project"}, Kind: Text, Title: "Project", Destination: true, Public: true, Check: Form(projectForm, "Send a project's id alone.")},
	}
}
