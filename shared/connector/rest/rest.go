// Package rest declares credentials of HTTP APIs.
package rest

import (
	"slices"

	"credence/shared/connector"
)

// Type is the declaration.
func Type() *connector.Type {
	return &connector.Type{
		Name: "rest", ID: 5, ConnectionType: "rest", Title: "REST API",
		Help:          "An HTTP API, signed in to with a key, a password, a token or a signature.",
		Fields:        slices.Concat(request, basic, apiKey, token, oauth1, oauth2, aws, jwt, hmac),
		Discriminator: "auth.type",
		Methods: []connector.Method{
			{Name: "api_key", Needs: []string{"api_key", "base_url"}},
			{Name: "API_KEY", Needs: []string{"api.key.auth.value"}, May: []string{"api.key.include.mode", "api.key.auth.key"}},
			{Name: "BASIC", Needs: []string{"basic.username", "basic.password"}},
			{Name: "TOKEN", Needs: []string{"token.auth.url"}, May: []string{"token.auth.body", "token.auth.token.path"}},
			{Name: "TOKEN", Needs: []string{"token.auth.url", "basic.username", "basic.password"}},
			{Name: "OAUTH1", Needs: []string{"oauth1.consumer.key", "oauth1.consumer.secret"}, May: []string{"oauth1.access.token", "oauth1.access.token.secret"}},
			{Name: "OAUTH2", Needs: []string{"oauth2.client.id", "oauth2.client.secret", "oauth2.access.token.url"}},
			{Name: "OAUTH2", Needs: []string{"oauth2.access.token"}},
			{Name: "OAUTH2", Needs: []string{"vendor.access_token"}},
			{Name: "AWS_SIGNATURE", Needs: []string{"aws.access.key", "aws.secret.key"}},
			{Name: "gcp_service_account", Needs: []string{"gcp.service.account.credentials.json"}},
			{Name: "NONE", Needs: []string{}},
			{Name: "NONE", Needs: []string{"request.headers"}},
		},
		Example: []byte(`{"api_key":"correct horse","base_url":"https://api.example.com"}`),
	}
}
