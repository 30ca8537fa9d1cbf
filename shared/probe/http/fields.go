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

	fieldExpectStatus  probe.Field = "test.expect.status"
	fieldExpectPointer probe.Field = "test.expect.pointer"
	fieldExpectValue   probe.Field = "test.expect.value"

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

	fieldExchange           probe.Field = "oauth2.token_exchange_type"
	fieldClientID           probe.Field = "oauth2.client.id"
	fieldClientSecret       probe.Field = "oauth2.client.secret"
	fieldClientKey          probe.Field = "oauth2.client.private_key"
	fieldClientKeyID        probe.Field = "oauth2.client.key.id"
	fieldClientKeyAlgorithm probe.Field = "oauth2.client.key.algorithm"
	fieldAccessURL          probe.Field = "oauth2.access.token.url"
	fieldAccessMethod       probe.Field = "oauth2.access.token.method"
	fieldAccessScheme       probe.Field = "oauth2.client.auth.scheme"
	fieldTokenType          probe.Field = "oauth2.token.type.override"
	fieldAuthBody           probe.Field = "oauth2.auth.body"
	fieldAuthHeaders        probe.Field = "oauth2.auth.headers"
	fieldScope              probe.Field = "oauth2.scope"
	fieldAudience           probe.Field = "oauth2.audience"
	fieldResource           probe.Field = "oauth2.resource"
	fieldAccessToken        probe.Field = "oauth2.access.token"
	fieldVendorToken        probe.Field = "vendor.access_token"

	fieldConsumerKey    probe.Field = "oauth1.consumer.key"
	fieldConsumerSecret probe.Field = "oauth1.consumer.secret"
	fieldOAuth1Token    probe.Field = "oauth1.access.token"
	fieldOAuth1Secret   probe.Field = "oauth1.access.token.secret"
	fieldOAuth1Method   probe.Field = "oauth1.signature.method"
	fieldOAuth1Extra    probe.Field = "oauth1.extra.parameters"

	fieldAWSKey     probe.Field = "aws.access.key"
	fieldAWSSecret  probe.Field = "aws.secret.key"
	fieldAWSSession probe.Field = "aws.session.token"
	fieldAWSRegion  probe.Field = "aws.region"
	fieldAWSService probe.Field = "aws.service"

	fieldGoogleKey    probe.Field = "gcp.service.account.credentials.json"
	fieldGoogleScopes probe.Field = "gcp.service.account.oauth.scopes"

	fieldJWT          probe.Field = "jwt.enabled"
	fieldJWTURL       probe.Field = "jwt.auth.url"
	fieldJWTBody      probe.Field = "jwt.auth.body"
	fieldJWTContent   probe.Field = "jwt.auth.content.type"
	fieldJWTFormat    probe.Field = "jwt.auth.response.format"
	fieldJWTPath      probe.Field = "jwt.auth.token.path"
	fieldJWTMode      probe.Field = "jwt.token.include.mode"
	fieldJWTParam     probe.Field = "jwt.token.url.parameter"
	fieldJWTHeader    probe.Field = "jwt.token.header"
	fieldJWTType      probe.Field = "jwt.token.header.type"
	fieldJWTSecret    probe.Field = "jwt.token.secret"
	fieldJWTAlgorithm probe.Field = "jwt.token.algorithm"
	fieldJWTLife      probe.Field = "jwt.claim.expiration.sec"
	fieldJWTScope     probe.Field = "jwt.claim.scope"
	fieldJWTAudience  probe.Field = "jwt.claim.audience"
	fieldJWTIssuer    probe.Field = "jwt.claim.issuer"
	fieldJWTExtra     probe.Field = "jwt.claim.extra.json"

	fieldHMAC        probe.Field = "hmac.enabled"
	fieldP12         probe.Field = "client.p12"
	fieldP12Password probe.Field = "client.p12.password"
	fieldClientCert  probe.Field = "tls.client_certificate"
	fieldClientPEM   probe.Field = "tls.client_key"
)

// reader reads settings by field.
type reader struct{ probe.Settings }

func (r reader) text(f probe.Field) string { return r.Text(string(f)) }

func (r reader) has(f probe.Field) bool { return r.Has(string(f)) }

func (r reader) is(f probe.Field) bool { v, _ := r.Bool(string(f)); return v }
