package rest

import (
	"slices"

	"credence/shared/connector"
)

const (
	text   = connector.Text
	number = connector.Number
	truth  = connector.Bool
)

// The fields, by what they are for. What comes from a page of the published
// list under a shortened name stands here in full.

var request = []connector.Field{
	{
		Name: "auth.type", Kind: text, Title: "Way to sign in", Public: true,
		OneOf: []string{"NONE", "BASIC", "API_KEY", "TOKEN", "OAUTH1", "OAUTH2", "AWS_SIGNATURE", "gcp_service_account"},
	},
	{Name: "base_url", Also: []string{"endpoint", "url"}, Near: []string{"host", "hostname", "address", "uri", "server"}, Kind: text, Title: "Base URL", Destination: true, Identity: true, Public: true, Shown: connector.WithoutQuery, Check: connector.CheckURL},
	{Name: "test.url", Kind: text, Title: "Test URL", Help: "What a probe asks for; the base URL where it is left out.", Destination: true, Identity: true, Check: connector.CheckURL, Public: true, Shown: connector.WithoutQuery},
	{Name: "test.method", Kind: text, Title: "Test method", Destination: true, Public: true, OneOf: []string{"GET", "POST"}},
	{Name: "test.content.type", Kind: text, Title: "Test content type", Destination: true, Public: true},
	{Name: "test.expect.status", Kind: number, Title: "Expected status", Help: "What the test request answers when the secret is good.", Public: true, Min: 100, Max: 599},
	{Name: "test.expect.pointer", Kind: text, Title: "Expected member", Help: "A JSON Pointer (RFC 6901) to a member that the answer has when the secret is good.", Check: connector.CheckPointer},
	{Name: "test.expect.value", Kind: text, Title: "Expected value", Help: "The value of that member."},
	{Name: "test.body", Kind: text, Title: "Test body", Secret: true},
	{Name: "request.headers", Near: []string{"headers", "header"}, Kind: text, Title: "Headers of every request", Help: "A JSON object, or a line for each.", Secret: true},
	{Name: "ignore.ssl.cert.validation", Kind: truth, Title: "Do not verify the certificate", Destination: true, Public: true},
	{Name: "skip.validation", Kind: truth, Title: "Do not test", Public: true},
	connector.CACertificate(),
}

var basic = []connector.Field{
	{Name: "basic.username", Near: []string{"user", "username", "login"}, Kind: text, Title: "User name", Identity: true},
	{Name: "basic.password", Near: []string{"password", "pass", "pwd"}, Kind: text, Title: "Password", Secret: true},
}

var apiKey = []connector.Field{
	{Name: "api_key", Near: []string{"key", "token", "apikey_value", "x-api-key"}, Kind: text, Title: "API key", Help: "Sent in the header X-Api-Key.", Secret: true},
	{Name: "api.key.include.mode", Kind: text, Title: "Place of the API key", Destination: true, OneOf: []string{"HEADER", "URL_PARAMETER"}, Public: true},
	{Name: "api.key.auth.key", Kind: text, Title: "Name of the header or parameter", Destination: true, MaxBytes: 256},
	{Name: "api.key.auth.value", Kind: text, Title: "Value of the API key", Secret: true},
}

var token = []connector.Field{
	{Name: "token.auth.url", Kind: text, Title: "Sign-in address", Destination: true, Check: connector.CheckURL, Public: true, Shown: connector.Origin},
	{Name: "token.auth.method", Kind: text, Title: "Sign-in method", Destination: true, OneOf: []string{"GET", "POST", "PUT"}, Public: true},
	{Name: "token.auth.token.header.name", Kind: text, Title: "Header that the token comes in", Check: connector.CheckHeaderName, Public: true},
	{Name: "token.auth.body", Kind: text, Title: "Sign-in body", Secret: true},
	{Name: "token.auth.response.format", Kind: text, Title: "Format of the token's answer", OneOf: []string{"xml", "json", "plain"}, Public: true},
	{Name: "token.auth.token.path", Kind: text, Title: "Path of the token in the answer", Public: true},
	{Name: "token.auth.token.include.mode", Kind: text, Title: "Place of the token", Destination: true, Public: true},
	{Name: "token.auth.token.url.parameter", Kind: text, Title: "Parameter that takes the token", Destination: true, Public: true},
	{Name: "token.auth.request.header.name", Kind: text, Title: "Header that takes the token", Destination: true, Check: connector.CheckHeaderName, Public: true},
	{Name: "token.auth.token.include.cookie", Kind: text, Title: "Cookie that takes the token", Destination: true},
	{Name: "token.auth.request.header.prefix", Kind: text, Title: "Prefix of the token", Destination: true},
}

var oauth1 = []connector.Field{
	{Name: "oauth1.token_exchange_type", Kind: text, Title: "OAuth 1 exchange", OneOf: []string{"2-legged", "3-legged"}, Public: true},
	{Name: "oauth1.request.url", Kind: text, Title: "OAuth 1 request address", Destination: true, Check: connector.CheckURL, Public: true, Shown: connector.Origin},
	{Name: "oauth1.auth.url", Kind: text, Title: "OAuth 1 consent address", Destination: true, Check: connector.CheckURL, Public: true, Shown: connector.Origin},
	{Name: "oauth1.token.url", Kind: text, Title: "OAuth 1 token address", Destination: true, Check: connector.CheckURL, Public: true, Shown: connector.Origin},
	{Name: "oauth1.signature.method", Kind: text, Title: "OAuth 1 signature", OneOf: []string{"PLAINTEXT", "HMAC-SHA1", "HMAC-SHA256"}, Public: true},
	{Name: "oauth1.consumer.key", Kind: text, Title: "Consumer key", Identity: true},
	{Name: "oauth1.consumer.secret", Kind: text, Title: "Consumer secret", Secret: true},
	{Name: "oauth1.access.token", Kind: text, Title: "OAuth 1 access token", Secret: true},
	{Name: "oauth1.access.token.secret", Kind: text, Title: "OAuth 1 token secret", Secret: true},
	{Name: "oauth1.extra.parameters", Kind: text, Title: "OAuth 1 extra parameters", Secret: true},
}

var oauth2 = slices.Concat([]connector.Field{
	{Name: "oauth2.token_exchange_type", Kind: text, Title: "OAuth 2 exchange", OneOf: []string{"2-legged", "3-legged"}, Public: true},
	{Name: "oauth2.client.id", Near: []string{"client_id"}, Kind: text, Title: "Client id", Identity: true, Public: true},
	{Name: "oauth2.client.secret", Near: []string{"client_secret"}, Kind: text, Title: "Client secret", Secret: true},
	{Name: "oauth2.auth.url", Kind: text, Title: "Consent address", Destination: true, Check: connector.CheckURL, Public: true, Shown: connector.Origin},
	{Name: "oauth2.access.token.url", Near: []string{"token_url"}, Kind: text, Title: "Token address", Destination: true, Check: connector.CheckURL, Public: true, Shown: connector.Origin},
	{Name: "oauth2.access.token.method", Kind: text, Title: "Token method", Destination: true, OneOf: []string{"GET", "POST"}, Public: true},
	{Name: "oauth2.token.type.override", Kind: text, Title: "Type of the token", Public: true},
	{Name: "oauth2.client.auth.scheme", Kind: text, Title: "Place of the client's secret", Destination: true, OneOf: []string{"header", "form", "query", "private_key_jwt"}, Public: true},
	{Name: "oauth2.scope", Kind: text, Title: "Scope of the token", Help: "Scopes, separated by spaces (RFC 6749).", Public: true},
	{Name: "oauth2.audience", Kind: text, Title: "Audience of the token", Help: "The API that the token is for, where the token address asks for it.", Public: true},
	{Name: "oauth2.resource", Kind: text, Title: "Resource of the token", Help: "The resource that the token is for (RFC 8707).", Public: true},
	{Name: "oauth2.client.private_key", Kind: text, Title: "Client's private key", Help: "PEM, for private_key_jwt (RFC 7523).", Secret: true, PEM: true},
	{Name: "oauth2.client.key.id", Kind: text, Title: "Id of the client's key"},
	{Name: "oauth2.client.key.algorithm", Kind: text, Title: "Algorithm of the client's key", OneOf: algorithms[4:], Public: true},
	{Name: "oauth2.auth.body", Kind: text, Title: "Token body", Secret: true},
	{Name: "oauth2.auth.headers", Kind: text, Title: "Token headers", Secret: true},
	{Name: "oauth2.access.token", Kind: text, Title: "Access token", Secret: true},
}, connector.Vendor())

var aws = []connector.Field{
	{Name: "aws.access.key", Kind: text, Title: "AWS access key id", Identity: true},
	{Name: "aws.secret.key", Kind: text, Title: "AWS secret access key", Secret: true},
	{Name: "aws.region", Kind: text, Title: "AWS region", Destination: true, Public: true},
	{Name: "aws.service", Kind: text, Title: "AWS service", Destination: true, Public: true},
	{Name: "aws.session.token", Kind: text, Title: "AWS session token", Secret: true},
}

var gcp = []connector.Field{
	{Name: "gcp.service.account.credentials.json", Kind: connector.Object, Title: "Service account's key", Help: "The JSON of the key file, or its text.", Secret: true, PEM: true, Check: connector.CheckServiceAccount},
	{Name: "gcp.service.account.oauth.scopes", Kind: text, Title: "OAuth scopes", Public: true},
}

// algorithms are those of JSON Web Algorithms that sign (RFC 7518, section 3.1).
var algorithms = []string{
	"NONE", "HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
	"ES256", "ES384", "ES512", "PS256", "PS384", "PS512",
}

var jwt = []connector.Field{
	{Name: "jwt.enabled", Kind: truth, Title: "Sign in with a JWT", Public: true},
	{Name: "jwt.auth.url", Kind: text, Title: "JWT sign-in address", Destination: true, Check: connector.CheckURL, Public: true, Shown: connector.Origin},
	{Name: "jwt.auth.body", Kind: text, Title: "JWT sign-in body", Secret: true},
	{Name: "jwt.auth.content.type", Kind: text, Title: "JWT sign-in content type", Public: true},
	{Name: "jwt.auth.response.format", Kind: text, Title: "Format of the JWT's answer", Public: true},
	{Name: "jwt.auth.token.path", Kind: text, Title: "Path of the JWT in the answer", Public: true},
	{Name: "jwt.auth.token.type.path", Kind: text, Title: "Path of the JWT's type", Public: true},
	{Name: "jwt.token.include.mode", Kind: text, Title: "Place of the JWT", Destination: true, Public: true},
	{Name: "jwt.token.url.parameter", Kind: text, Title: "Parameter that takes the JWT", Destination: true, Public: true},
	{Name: "jwt.token.header", Kind: text, Title: "Header that takes the JWT", Destination: true, Check: connector.CheckHeaderName, Public: true},
	{Name: "jwt.token.header.type", Kind: text, Title: "Prefix of the JWT", Public: true},
	{Name: "jwt.token.secret", Kind: text, Title: "Key that signs the JWT", Secret: true, PEM: true},
	{Name: "jwt.token.algorithm", Kind: text, Title: "Algorithm of the JWT", OneOf: algorithms, Public: true},
	{Name: "jwt.claim.expiration.sec", Kind: number, Title: "Life of the JWT, seconds", Public: true},
	{Name: "jwt.claim.scope", Kind: text, Title: "Scope of the JWT", Public: true},
	{Name: "jwt.claim.audience", Kind: text, Title: "Audience of the JWT", Public: true},
	{Name: "jwt.claim.issuer", Kind: text, Title: "Issuer of the JWT", Public: true},
	{Name: "jwt.claim.extra.json", Kind: text, Title: "Other claims of the JWT", Secret: true},
}

var hmac = []connector.Field{
	{Name: "hmac.enabled", Kind: truth, Title: "Sign requests with HMAC", Public: true},
	{Name: "hmac.api.key", Kind: text, Title: "HMAC key id", Secret: true},
	{Name: "hmac.api.secret", Kind: text, Title: "HMAC secret", Secret: true},
	{Name: "hmac.func", Kind: text, Title: "HMAC function", Public: true},
}

var certificate = []connector.Field{
	{Name: "ui.cert_signed", Kind: truth, Title: "Signs in with a client certificate", Public: true},
	{Name: "client.p12", Kind: text, Title: "Client certificate, PKCS 12 in base64", Secret: true},
	{Name: "client.p12.password", Kind: text, Title: "Password of the client certificate", Secret: true},
	{Name: "tls.client_certificate", Kind: text, Title: "Client certificate", Help: "PEM, with its chain.", Lines: true, PEM: true},
	{Name: "tls.client_key", Kind: text, Title: "Private key of the client certificate", Help: "PEM, without a passphrase.", Secret: true, PEM: true},
}
