// Package signin is the family of routes by which a caller signs in and keeps
// his service keys: /token, /users/current and /service_keys.
package signin

import (
	"credence/shared/access"
	"credence/shared/api/people"
	"credence/shared/httpapi"
	"credence/shared/identity"
)

type membership struct {
	APIKey        *string           `json:"api_key"` // never shown
	Status        string            `json:"status"`
	Admin         bool              `json:"is_admin"`
	Role          string            `json:"access_role"`
	RoleExpiresAt httpapi.Timestamp `json:"access_role_expires_at"`
}

// account is who is signed in.
type account struct {
	User       people.User `json:"user"`
	Membership membership  `json:"org_membership"`
	Org        people.Org  `json:"org"`
}

type token struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
	account
}

type serviceKey struct {
	ID          int64             `json:"id"`
	OwnerID     int64             `json:"owner_id"`
	OrgID       int64             `json:"org_id"`
	Name        string            `json:"name"`
	Description *string           `json:"description"`
	Status      string            `json:"status"`
	Scopes      []access.Scope    `json:"scopes"`
	ExpiresAt   httpapi.Timestamp `json:"expires_at"`
	RotatedAt   httpapi.Timestamp `json:"last_rotated_at"`
	UsedAt      httpapi.Timestamp `json:"last_used_at"`
	CreatedAt   httpapi.Timestamp `json:"created_at"`
	UpdatedAt   httpapi.Timestamp `json:"updated_at"`
	CreatedBy   *int64            `json:"created_by"`       // the user who made it; null = the operator
	ParentID    *int64            `json:"parent_id"`        // the key it was made with; null = none
	APIKey      string            `json:"api_key,omitzero"` // only when made or rotated
}

type done struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func accountOf(c identity.Caller) account {
	return account{
		User: people.UserOf(c.Org, c.User),
		Membership: membership{
			Status: people.StatusOf(c.User), Admin: c.User.Admin, Role: people.RoleOf(c.User),
		},
		Org: people.OrgOf(c.Org),
	}
}

func tokenOf(s identity.Session) token {
	return token{
		AccessToken: s.Token, TokenType: "Bearer", ExpiresIn: int64(s.ExpiresIn.Seconds()), account: accountOf(s.Caller),
	}
}

func serviceKeyOf(k identity.Key, text string) serviceKey {
	return serviceKey{
		ID: k.ID, OwnerID: k.OwnerID, OrgID: k.OrgID, Name: k.Name, Description: nullable(k.Description),
		Status: string(k.Status), Scopes: k.Scopes,
		ExpiresAt: httpapi.Timestamp(k.ExpiresAt), RotatedAt: httpapi.Timestamp(k.RotatedAt), UsedAt: httpapi.Timestamp(k.UsedAt),
		CreatedAt: httpapi.Timestamp(k.CreatedAt), UpdatedAt: httpapi.Timestamp(k.UpdatedAt),
		CreatedBy: numbered(k.MakerID), ParentID: numbered(k.ParentID()), APIKey: text,
	}
}

// numbered is an id, or null for 0.
func numbered(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}

func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
