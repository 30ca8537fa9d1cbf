package admin

import (
	"cmp"
	"time"

	"credence/shared/access"
	"credence/shared/api/auditlog"
	"credence/shared/audit"
	"credence/shared/identity"
)

// Reply is the result of a command. The organisation is named by every command
// on one; the parts that the action does not have are left out. ServiceKey is
// the text of a new or rotated key, which is shown this once.
type Reply struct {
	OrgID      int64       `json:"org_id,omitzero"`
	OrgName    string      `json:"org_name,omitzero"`
	UserID     int64       `json:"user_id,omitzero"`
	Email      string      `json:"email,omitzero"`
	ServiceKey string      `json:"service_key,omitzero"`
	Orgs       []OrgReply  `json:"orgs,omitzero"`
	Users      []UserReply `json:"users,omitzero"`
	Keys       []KeyReply  `json:"keys,omitzero"`

	Entries []auditlog.Entry `json:"entries,omitzero"` // of Audit, newest first
	Next    int64            `json:"next,omitzero"`    // Audit: the After of the next page; 0 = none
}

// OrgReply describes an organisation. Status is ACTIVE or SUSPENDED.
type OrgReply struct {
	ID        int64     `json:"id"`
	Name      string    `json:"name"`
	Domain    string    `json:"domain,omitzero"`
	Status    string    `json:"status"`
	AuditDays int       `json:"audit_days"` // how long audit entries that are no changes are kept
	CreatedAt time.Time `json:"created_at"`
}

// UserReply describes a user. Status is ACTIVE or DEACTIVATED.
type UserReply struct {
	ID        int64     `json:"id"`
	Email     string    `json:"email"`
	FullName  string    `json:"full_name"`
	Admin     bool      `json:"is_admin"`
	Status    string    `json:"status"`
	Keys      int       `json:"keys"` // how many service keys the user has
	CreatedAt time.Time `json:"created_at"`
}

// KeyReply describes a service key without its text. Status is one of
// identity.Statuses.
type KeyReply struct {
	ID        int64          `json:"id"`
	OwnerID   int64          `json:"owner_id"`
	Owner     string         `json:"owner_email"`
	Name      string         `json:"name"`
	Status    string         `json:"status"`
	Scopes    []access.Scope `json:"scopes"`
	ExpiresAt time.Time      `json:"expires_at"`
	UsedAt    time.Time      `json:"last_used_at,omitzero"`
	CreatedAt time.Time      `json:"created_at"`
	CreatedBy int64          `json:"created_by,omitzero"` // the user who made it; 0 = the operator
	ParentID  int64          `json:"parent_id,omitzero"`  // the key it was made with; 0 = none
}

func each[T, R any](list []T, form func(T) R) []R {
	out := make([]R, 0, len(list))
	for _, v := range list {
		out = append(out, form(v))
	}
	return out
}

func welcomeReply(w identity.Welcome, err error) (Reply, error) {
	if err != nil {
		return Reply{}, err
	}
	return Reply{
		OrgID: w.Org.ID, OrgName: w.Org.Name, UserID: w.User.ID, Email: w.User.Email, ServiceKey: w.Text,
		Users: []UserReply{userReply(w.User)}, Keys: []KeyReply{keyReply(w.Key, w.User.Email)},
	}, nil
}

func orgReply(o identity.Org) OrgReply {
	return OrgReply{ID: o.ID, Name: o.Name, Domain: o.EmailDomain, Status: status(!o.Suspended, "SUSPENDED"), AuditDays: cmp.Or(o.AuditDays, audit.DefaultDays), CreatedAt: o.CreatedAt}
}

func userReply(u identity.User) UserReply {
	return UserReply{
		ID: u.ID, Email: u.Email, FullName: u.FullName, Admin: u.Admin, Status: status(u.Active, "DEACTIVATED"),
		Keys: u.KeyCount, CreatedAt: u.CreatedAt,
	}
}

func keyReply(k identity.Key, owner string) KeyReply {
	return KeyReply{
		ID: k.ID, OwnerID: k.OwnerID, Owner: owner, Name: k.Name, Status: string(k.Status), Scopes: k.Scopes,
		ExpiresAt: k.ExpiresAt, UsedAt: k.UsedAt, CreatedAt: k.CreatedAt, CreatedBy: k.MakerID, ParentID: k.ParentID(),
	}
}

func status(active bool, otherwise string) string {
	if active {
		return "ACTIVE"
	}
	return otherwise
}
