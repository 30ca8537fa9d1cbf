// Package people is the family of routes of an organisation's users, its teams and
// the organisation itself: /users, but for /users/current, /teams and /orgs.
package people

import (
	"credence/shared/httpapi"
	"credence/shared/identity"
)

// User is a user; it has the fields that released clients require of one, also those that have no meaning
// here.
type User struct {
	ID              int64             `json:"id"`
	Email           string            `json:"email"`
	FullName        string            `json:"full_name"`
	SuperUser       bool              `json:"super_user"`
	Impersonated    bool              `json:"impersonated"`
	DefaultOrg      defaultOrg        `json:"default_org"`
	Tier            *string           `json:"user_tier"`
	Status          string            `json:"status"`
	Locked          bool              `json:"account_locked"`
	Memberships     []membership      `json:"org_memberships"`
	EmailVerifiedAt httpapi.Timestamp `json:"email_verified_at"`
	TermsSignedAt   httpapi.Timestamp `json:"tos_signed_at"`
	CreatedAt       httpapi.Timestamp `json:"created_at"`
	UpdatedAt       httpapi.Timestamp `json:"updated_at"`
}

type defaultOrg struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// membership is a membership as a user lists it.
type membership struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Admin  bool   `json:"is_admin"`
	Role   string `json:"access_role"`
	Status string `json:"org_membership_status"`
}

// Owner is a user as the owner of a thing.
type Owner struct {
	ID       int64  `json:"id"`
	FullName string `json:"full_name"`
	Email    string `json:"email"`
}

// Org is an organisation as it is shown beside other things.
type Org struct {
	ID               int64   `json:"id"`
	Name             string  `json:"name"`
	EmailDomain      *string `json:"email_domain"`
	Email            *string `json:"email"`
	ClientIdentifier *string `json:"client_identifier"`
}

// UserOf returns the wire form of a user.
func UserOf(o identity.Org, u identity.User) User {
	status := StatusOf(u)
	return User{
		ID: u.ID, Email: u.Email, FullName: u.FullName, Status: status,
		DefaultOrg:  defaultOrg{o.ID, o.Name},
		Memberships: []membership{{ID: o.ID, Name: o.Name, Admin: u.Admin, Role: RoleOf(u), Status: status}},
		CreatedAt:   httpapi.Timestamp(u.CreatedAt), UpdatedAt: httpapi.Timestamp(u.UpdatedAt),
	}
}

// RoleOf returns the role of a user in the organisation.
func RoleOf(u identity.User) string {
	if u.Admin {
		return "admin"
	}
	return "member"
}

// OrgOf returns the wire form of an organisation.
func OrgOf(o identity.Org) Org {
	var domain *string // null for none
	if o.EmailDomain != "" {
		domain = &o.EmailDomain
	}
	return Org{ID: o.ID, Name: o.Name, EmailDomain: domain}
}

// StatusOf returns the status of a user.
func StatusOf(u identity.User) string {
	if u.Active {
		return active
	}
	return deactivated
}

const active, deactivated = "ACTIVE", "DEACTIVATED"

type done struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}
