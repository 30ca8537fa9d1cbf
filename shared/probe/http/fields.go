package httpprobe

import "credence/shared/probe"

// The settings that are read, under their canonical names.
//
//nolint:gosec // names of settings, not their values
const (
	fieldBaseURL     probe.Field = "base_url"
	fieldAPIKey      probe.Field = "api_key"
	fieldTestURL     probe.Field = "test.url"
	fieldTestMethod  probe.Field = "test.method"
	fieldTestContent probe.Field = "test.content.type"
	fieldTestBody    probe.Field = "test.body"
	fieldHeaders     probe.Field = "request.headers"
	fieldIgnoreCert  probe.Field = "ignore.ssl.cert.validation"
	fieldAuthType    probe.Field = "auth.type"

	fieldUser     probe.Field = "basic.username"
	fieldPassword probe.Field = "basic.password"

	fieldKeyMode  probe.Field = "api.key.include.mode"
	fieldKeyName  probe.Field = "api.key.auth.key"
	fieldKeyValue probe.Field = "api.key.auth.value"

	fieldLoginURL    probe.Field = "token.auth.url"
	fieldLoginMethod probe.Field = "token.auth.method"
	fieldLoginBody   probe.Field = "token.auth.body"
	fieldTokenFormat probe.Field = "token.auth.response.format"
	fieldTokenPath   probe.Field = "token.auth.token.path"
	fieldTokenMode   probe.Field = "token.auth.token.include.mode"
	fieldTokenParam  probe.Field = "token.auth.token.url.parameter"
	fieldTokenHeader probe.Field = "token.auth.request.header.name"
	fieldTokenPrefix probe.Field = "token.auth.request.header.prefix"
	fieldTokenCookie probe.Field = "token.auth.token.include.cookie"
	fieldTokenFrom   probe.Field = "token.auth.token.header.name"

	fieldExchange     probe.Field = "oauth2.token_exchange_type"
	fieldClientID     probe.Field = "oauth2.client.id"
	fieldClientSecret probe.Field = "oauth2.client.secret"
	fieldAccessURL    probe.Field = "oauth2.access.token.url"
	fieldAccessMethod probe.Field = "oauth2.access.token.method"
	fieldAccessScheme probe.Field = "oauth2.client.auth.scheme"
	fieldTokenType    probe.Field = "oauth2.token.type.override"
	fieldAuthBody     probe.Field = "oauth2.auth.body"
	fieldAuthHeaders  probe.Field = "oauth2.auth.headers"

	fieldJWT  probe.Field = "jwt.enabled"
	fieldHMAC probe.Field = "hmac.enabled"
	fieldCert probe.Field = "client.p12"
)

// reader reads settings by field.
type reader struct{ probe.Settings }

func (r reader) text(f probe.Field) string { return r.Text(string(f)) }

func (r reader) has(f probe.Field) bool { return r.Has(string(f)) }

func (r reader) is(f probe.Field) bool { v, _ := r.Bool(string(f)); return v }
