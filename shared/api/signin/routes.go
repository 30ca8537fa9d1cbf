package signin

import (
	"context"
	"encoding/base64"
	"strings"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/httpapi"
	"credence/shared/identity"
)

// API serves the family.
type API struct {
	Identity *identity.Service
}

// Routes lists the endpoints.
func (a API) Routes() []httpapi.Route {
	routes := []httpapi.Route{
		{Pattern: "POST /token", Public: true, Handle: a.signIn},
		{Pattern: "POST /token/refresh", Needs: access.SignedIn, Handle: a.refresh},
		{Pattern: "POST /token/logout", Needs: access.SignedIn, Handle: a.logout},
		{Pattern: "GET /users/current", Needs: access.SignedIn, Handle: a.current},
		{Pattern: "GET /service_keys", Needs: access.Read, Query: append([]string{"owner_id"}, httpapi.ListQuery...), Handle: a.listKeys},
		{Pattern: "POST /service_keys", Needs: access.ManageKeys, Handle: a.createKey},
		{Pattern: "GET /service_keys/{id}", Needs: access.Read, Resource: identity.KeyResource, Handle: a.getKey},
		{Pattern: "PUT /service_keys/{id}", Needs: access.ManageKeys, Resource: identity.KeyResource, Handle: a.updateKey},
		{Pattern: "DELETE /service_keys/{id}", Needs: access.ManageKeys, Resource: identity.KeyResource, Handle: a.deleteKey},
	}
	for _, method := range []string{"PUT", "POST"} {
		routes = append(routes,
			httpapi.Route{Pattern: method + " /service_keys/{id}/rotate", Needs: access.ManageKeys, Resource: identity.KeyResource, Handle: a.rotateKey},
			httpapi.Route{Pattern: method + " /service_keys/{id}/pause", Needs: access.ManageKeys, Resource: identity.KeyResource, Handle: keyChange(a.Identity.PauseKey)},
			httpapi.Route{Pattern: method + " /service_keys/{id}/activate", Needs: access.ManageKeys, Resource: identity.KeyResource, Handle: keyChange(a.Identity.ActivateKey)})
	}
	return routes
}

func (a API) signIn(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	key, err := serviceKeyIn(r)
	if err != nil {
		return httpapi.Answer{}, err
	}
	session, err := a.Identity.SignIn(ctx, key, r.Origin)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: tokenOf(session)}, nil
}

// serviceKeyIn returns the service key in the Authorization header: raw behind
// Basic, or in RFC 7617's form, base64 of the key and an empty password, which
// curl -u sends. The two cannot be confused, since a key has underscores and
// base64 has none. Without a header, and with nothing behind the scheme, the
// error is malformed_authorization. Any other value authenticates no key and is
// unauthenticated, so that released clients read it as a wrong key.
func serviceKeyIn(r *httpapi.Request) (string, error) {
	sent := strings.TrimSpace(strings.Join(r.HTTP.Header.Values("Authorization"), ""))
	if sent == "" || strings.EqualFold(sent, "Basic") {
		return "", fault.New(fault.CodeMalformedAuth,
			"The request has no service key. Send the header Authorization: Basic followed by the key as it was shown, which starts with "+identity.KeyPrefix+".")
	}
	text, ok := httpapi.Credentials(r.HTTP.Header, "Basic")
	if ok && strings.HasPrefix(text, identity.KeyPrefix) {
		return text, nil
	}
	if decoded, err := base64.StdEncoding.DecodeString(text); ok && err == nil {
		if key := strings.TrimSuffix(string(decoded), ":"); strings.HasPrefix(key, identity.KeyPrefix) {
			return key, nil
		}
	}
	return "", fault.New(fault.CodeUnauthenticated, "The Authorization header holds no service key.")
}

func (a API) refresh(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	bearer, _ := httpapi.Credentials(r.HTTP.Header, "Bearer")
	session, err := a.Identity.Refresh(ctx, bearer, r.Origin)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: tokenOf(session)}, nil
}

func (a API) logout(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	bearer, _ := httpapi.Credentials(r.HTTP.Header, "Bearer")
	return httpapi.Answer{}, a.Identity.Logout(ctx, bearer, r.Origin)
}

func (a API) current(_ context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	return httpapi.Answer{Body: accountOf(r.Caller)}, nil
}
