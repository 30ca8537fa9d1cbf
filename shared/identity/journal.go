package identity

import (
	"time"

	"credence/shared/store"
)

// Occurrence is an event that belongs to no credential: a sign-in, or a change
// of a service key, a user, a team or the organisation.
type Occurrence struct {
	Org     int64
	User    int64 // the user concerned, or the owner of the key concerned; 0 = none
	Key     int64 // the key concerned; 0 = none
	KeyName string
	Team    int64 // the team concerned, whose owner is User; 0 = none
	// TeamName and Details are for Team and for a user: the details are lines such as
	// "changed status". They name fields and users, and no value.
	TeamName string
	Details  []string
	Event    string // one of the Event constants
	By       Caller // the actor and the origin; without a user for the operator and for failed sign-ins
	At       time.Time
	// ID names the entry; 0 = a new id. Two occurrences of one ID are kept once.
	ID      int64
	Expires time.Time // zero = never
}

// The events of an Occurrence.
const (
	EventSignIn        = "sign_in"         // a service key opened a session
	EventSignInRefused = "sign_in_refused" // a key that exists was presented with a wrong secret, paused or expired
	EventRefresh       = "sign_in_renewed" // a session opened another
	EventSignOut       = "sign_out"
	EventKeyCreated    = "key_created"
	EventKeyUpdated    = "key_updated"
	EventKeyRotated    = "key_rotated"
	EventKeyPaused     = "key_paused"
	EventKeyActivated  = "key_activated"
	EventKeyDeleted    = "key_deleted"
	EventUserCreated   = "user_created"
	EventUserUpdated   = "user_updated"
	EventUserSuspended = "user_suspended"
	EventUserActivated = "user_activated"
	EventOrgSuspended  = "org_suspended"
	EventOrgActivated  = "org_activated"
	EventOrgUpdated    = "org_updated" // a setting was changed

	EventTeamCreated        = "team_created"
	EventTeamUpdated        = "team_updated"
	EventTeamMembersChanged = "team_members_changed"
	EventTeamDeleted        = "team_deleted"
)

// Events lists the events of an Occurrence.
func Events() []string {
	return []string{
		EventSignIn, EventSignInRefused, EventRefresh, EventSignOut, EventKeyCreated, EventKeyUpdated, EventKeyRotated, EventKeyPaused,
		EventKeyActivated, EventKeyDeleted, EventUserCreated, EventUserUpdated, EventUserSuspended, EventUserActivated,
		EventOrgSuspended, EventOrgActivated, EventOrgUpdated,
		EventTeamCreated, EventTeamUpdated, EventTeamMembersChanged, EventTeamDeleted,
	}
}

// Journal makes the write of an audit entry. The write joins the commit of
// what it tells about, so that neither happens without the other; its
// precondition is that its own key is not taken.
type Journal interface {
	Write(o Occurrence) (store.Write, error)
}
