// Package signin is the family of routes by which a caller signs in and keeps
// his service keys: /token, /users/current and /service_keys.
package signin

import (
	"credence/shared/access"
	"credence/shared/httpapi"
	"credence/shared/identity"
)

// user has the fields that released clients require of one, those too that say
// nothing here.
type user struct {
	ID              int64             `json:"id"`
	Email           string            `json:"email"`
	FullName        string            `json:"full_name"`
	SuperUser       bool              `json:"super_user"`
	Impersonated    bool              `json:"impersonated"`
	DefaultOrg      defaultOrg        `json:"default_org"`
	Tier            *string           `json:"user_tier"`
	Status          string            `json:"status"`
	Locked          bool              `json:"account_locked"`
	Memberships     []membershipOf    `json:"org_memberships"`
	EmailVerifiedAt httpapi.Timestamp `json:"email_verified_at"`
	TermsSignedAt   httpapi.Timestamp `json:"tos_signed_at"`
	CreatedAt       httpapi.Timestamp `json:"created_at"`
	UpdatedAt       httpapi.Timestamp `json:"updated_at"`
}

type defaultOrg struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// membershipOf is a membership as a user lists it, membership as it stands
// beside its organisation.
type membershipOf struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Admin  bool   `json:"is_admin"`
	Role   string `json:"access_role"`
	Status string `json:"org_membership_status"`
}

type membership struct {
	APIKey        *string           `json:"api_key"` // never shown
	Status        string            `json:"status"`
	Admin         bool              `json:"is_admin"`
	Role          string            `json:"access_role"`
	RoleExpiresAt httpapi.Timestamp `json:"access_role_expires_at"`
}

type org struct {
	ID               int64   `json:"id"`
	Name             string  `json:"name"`
	EmailDomain      *string `json:"email_domain"`
	Email            *string `json:"email"`
	ClientIdentifier *string `json:"client_identifier"`
}

// account is who is signed in.
type account struct {
	User       user       `json:"user"`
	Membership membership `json:"org_membership"`
	Org        org        `json:"org"`
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
		User: userOf(c.Org, c.User),
		Membership: membership{
			Status: activeOr(c.User.Active, "DEACTIVATED"), Admin: c.User.Admin, Role: roleOf(c.User),
		},
		Org: orgOf(c.Org),
	}
}

func userOf(o identity.Org, u identity.User) user {
	status := activeOr(u.Active, "DEACTIVATED")
	return user{
		ID: u.ID, Email: u.Email, FullName: u.FullName, Status: status,
		DefaultOrg:  defaultOrg{o.ID, o.Name},
		Memberships: []membershipOf{{ID: o.ID, Name: o.Name, Admin: u.Admin, Role: roleOf(u), Status: status}},
		CreatedAt:   httpapi.Timestamp(u.CreatedAt), UpdatedAt: httpapi.Timestamp(u.UpdatedAt),
	}
}

func roleOf(u identity.User) string {
	if u.Admin {
		return "admin"
	}
	return "member"
}

func orgOf(o identity.Org) org {
	return org{ID: o.ID, Name: o.Name, EmailDomain: nullable(o.EmailDomain)}
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

func activeOr(active bool, otherwise string) string {
	if active {
		return "ACTIVE"
	}
	return otherwise
}

func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
