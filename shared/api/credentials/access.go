package credentials

import (
	"context"

	"credence/shared/access"
	"credence/shared/credential"
	"credence/shared/httpapi"
)

// holder is a user who holds a role, or a service key that may reveal, with the reasons.
type holder struct {
	Type        credential.Grantee `json:"type"` // USER or SERVICE_KEY
	ID          int64              `json:"id"`
	Email       *string            `json:"email,omitzero"`
	Role        *string            `json:"access_role"` // null for a service key
	Permissions []string           `json:"permissions"`
	Because     []way              `json:"because"`
}

// way is one reason: the owner, an admin of the organisation, or a grant.
type way struct {
	Type    credential.Grantee `json:"type"`
	ID      int64              `json:"id"`
	Name    string             `json:"name"`
	Role    string             `json:"access_role"`
	Expires httpapi.Timestamp  `json:"access_role_expires_at"`
}

func wayOf(g credential.Shown) way {
	w := way{Type: g.Kind, ID: g.ID, Name: g.Name, Role: g.Role.String(), Expires: httpapi.Timestamp(g.Expires)}
	if g.Kind == credential.ToKey {
		w.Role = access.Reveal.String()
	}
	return w
}

func (a Reading) access(ctx context.Context, r *httpapi.Request, l *credential.ForRead) (httpapi.Answer, error) {
	q := r.Query()
	paging := q.Paging()
	if err := q.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	list, keys, err := a.Service.Access(ctx, r.Caller, l)
	if err != nil {
		return httpapi.Answer{}, err
	}
	rows := make([]holder, 0, len(list)+len(keys))
	for _, u := range list {
		role := u.Role.String()
		h := holder{Type: credential.ToUser, ID: u.User.ID, Email: &u.User.Email, Role: &role, Permissions: u.Role.Permissions()}
		if u.Role == access.Admin && u.User.Admin {
			h.Permissions = append(h.Permissions, access.Transfer.String()) // which a granted admin has not
		}
		for _, g := range u.Ways {
			h.Because = append(h.Because, wayOf(g))
		}
		rows = append(rows, h)
	}
	for _, k := range keys {
		rows = append(rows, holder{
			Type: credential.ToKey, ID: k.ID, Permissions: []string{access.Reveal.String()}, Because: []way{wayOf(k)},
		})
	}
	return httpapi.SortedList(r, paging, rows, true, func(h holder) httpapi.Mark { return httpapi.Mark{ID: h.ID} })
}
