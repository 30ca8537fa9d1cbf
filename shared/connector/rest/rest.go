// Package rest declares credentials of HTTP APIs.
package rest

import (
	"slices"

	"credence/shared/connector"
)

// Type is the declaration.
func Type() *connector.Type {
	return &connector.Type{
		Name: "rest", Near: []string{"http", "https", "api", "web", "webhook", "graphql", "soap"}, ID: 5, ConnectionType: "rest", Title: "REST API",
		Help:    "An HTTP API, signed in to with a key, a password, a token or a signature.",
		Fields:  slices.Concat(request, basic, apiKey, token, oauth1, oauth2, aws, gcp, jwt, hmac, certificate),
		Methods: slices.Concat(keys(), exchanges(), signatures(), others()),
		Example: []byte(`{"api_key":"correct horse battery staple","base_url":"https://api.example.com"}`),
	}
}

// way names a way to sign in by its value of auth.type. An example is a request
// that leaves the discriminator out where the fields tell the way.
func way(name, example string, needs ...string) connector.Method {
	m := connector.Method{Name: name, When: map[string]string{"auth.type": name}, Needs: needs}
	if example != "" {
		m.Example = []byte(example)
	}
	return m
}

// keys are the ways that send what is stored as it is.
func keys() []connector.Method {
	simple := way("API_KEY", "", "api_key", "base_url")
	simple.Name = "api_key"
	dotted := way("API_KEY", `{"auth.type":"API_KEY","api.key.include.mode":"HEADER","api.key.auth.key":"X-Api-Key","api.key.auth.value":"correct horse battery staple","test.url":"https://api.example.com/me","test.method":"GET","test.content.type":"application/json"}`,
		"api.key.auth.value")
	dotted.May = []string{"api.key.include.mode", "api.key.auth.key"}
	return []connector.Method{
		simple, dotted,
		way("BASIC", `{"basic.username":"loader","basic.password":"correct horse battery staple","base_url":"https://api.example.com"}`,
			"basic.username", "basic.password"),
		// Some systems take a key as the user with an empty password, others as
		// the password of an empty user.
		way("BASIC", "", "basic.username"),
		way("BASIC", "", "basic.password"),
	}
}

// exchanges are the ways that trade what is stored for a token.
func exchanges() []connector.Method {
	token := way("TOKEN", `{"auth.type":"TOKEN","token.auth.url":"https://api.example.com/login","token.auth.method":"POST","token.auth.body":"{\"key\":\"correct horse battery staple\"}","token.auth.token.path":"$.token"}`,
		"token.auth.url")
	token.May = []string{"token.auth.body", "token.auth.token.path"}
	signed := way("OAUTH2", `{"auth.type":"OAUTH2","oauth2.client.auth.scheme":"private_key_jwt","oauth2.client.id":"loader","oauth2.client.private_key":"correct horse battery staple","oauth2.client.key.id":"key-1","oauth2.access.token.url":"https://id.example.com/token"}`,
		"oauth2.client.id", "oauth2.client.private_key", "oauth2.access.token.url")
	signed.May = []string{"oauth2.client.key.id", "oauth2.client.key.algorithm"}
	return []connector.Method{
		token,
		// The whole of BASIC and more: with a token's address these are not sent
		// to the API itself.
		way("TOKEN", `{"token.auth.url":"https://api.example.com/login","basic.username":"loader","basic.password":"correct horse battery staple"}`,
			"token.auth.url", "basic.username", "basic.password"),
		way("TOKEN", "", "token.auth.url", "basic.username"),
		way("TOKEN", "", "token.auth.url", "basic.password"),
		way("OAUTH2", `{"auth.type":"OAUTH2","oauth2.token_exchange_type":"2-legged","oauth2.client.id":"loader","oauth2.client.secret":"correct horse battery staple","oauth2.access.token.url":"https://id.example.com/token"}`,
			"oauth2.client.id", "oauth2.client.secret", "oauth2.access.token.url"),
		signed,
		way("OAUTH2", `{"auth.type":"OAUTH2","oauth2.access.token":"correct horse battery staple"}`, "oauth2.access.token"),
		way("OAUTH2", `{"auth.type":"OAUTH2","vendor.access_token":"correct horse battery staple"}`, "vendor.access_token"),
		way("OAUTH2", `{"auth.type":"OAUTH2","vendor.refresh_token":"correct horse battery staple"}`, "vendor.refresh_token"),
		way("gcp_service_account", `{"auth.type":"gcp_service_account","gcp.service.account.credentials.json":{"type":"service_account","client_email":"loader@my-project.iam.gserviceaccount.com","private_key":"correct horse battery staple"}}`,
			"gcp.service.account.credentials.json"),
	}
}

// signatures are the ways that sign each request.
func signatures() []connector.Method {
	oauth1 := way("OAUTH1", `{"auth.type":"OAUTH1","oauth1.consumer.key":"loader","oauth1.consumer.secret":"correct horse battery staple"}`,
		"oauth1.consumer.key", "oauth1.consumer.secret")
	oauth1.May = []string{"oauth1.access.token", "oauth1.access.token.secret"}
	aws := way("AWS_SIGNATURE", `{"aws.access.key":"AKIAIOSFODNN7EXAMPLE","aws.secret.key":"correct horse battery staple","aws.region":"us-east-1","aws.service":"execute-api"}`,
		"aws.access.key", "aws.secret.key")
	aws.May = []string{"aws.session.token"}
	return []connector.Method{oauth1, aws}
}

// others may also stand beside any of those above, so they are a way of their
// own only where none of those is there.
func others() []connector.Method {
	aside := func(name, example string, needs ...string) connector.Method {
		return connector.Method{Name: name, Needs: needs, Fallback: true, Example: []byte(example)}
	}
	return []connector.Method{
		way("NONE", `{"auth.type":"NONE","test.url":"https://api.example.com/open"}`),
		aside("NONE", `{"request.headers":"X-Api-Key: correct horse battery staple","base_url":"https://api.example.com"}`, "request.headers"),
		aside("JWT", `{"jwt.enabled":true,"jwt.token.secret":"correct horse battery staple"}`, "jwt.token.secret"),
		aside("JWT", `{"jwt.enabled":true,"jwt.auth.url":"https://id.example.com/jwt","jwt.auth.body":"correct horse battery staple"}`, "jwt.auth.url"),
		aside("HMAC", `{"hmac.enabled":true,"hmac.api.key":"loader","hmac.api.secret":"correct horse battery staple"}`, "hmac.api.secret"),
		aside("client certificate", `{"client.p12":"Y29ycmVjdCBob3JzZSBiYXR0ZXJ5","client.p12.password":"correct horse battery staple"}`, "client.p12"),
		aside("client certificate", `{"tls.client_certificate":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n","tls.client_key":"correct horse battery staple"}`, "tls.client_certificate", "tls.client_key"),
	}
}
