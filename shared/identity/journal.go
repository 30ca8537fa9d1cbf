package identity

import (
	"time"

	"credence/shared/store"
)

// Occurrence is something that belongs to no credential: a sign-in, or a
// change of a service key.
type Occurrence struct {
	Org    int64
	User   int64 // whose key it is
	Key    int64
	Event  string // one of the Event constants
	By     User   // who did it; the zero User where nobody was signed in
	Origin Origin
	At     time.Time
}

// The events of an Occurrence.
const (
	EventSignIn        = "sign_in"         // a service key opened a session
	EventSignInRefused = "sign_in_refused" // a key was presented that is unknown, paused, expired or wrong
	EventRefresh       = "sign_in_renewed" // a session opened another
	EventSignOut       = "sign_out"
	EventKeyCreated    = "key_created"
	EventKeyUpdated    = "key_updated"
	EventKeyRotated    = "key_rotated"
	EventKeyPaused     = "key_paused"
	EventKeyActivated  = "key_activated"
	EventKeyDeleted    = "key_deleted"
)

// Journal makes the write of an audit entry. The write joins the commit of
// what it tells about, so that neither happens without the other; its
// precondition is that its own key is not taken.
type Journal interface {
	Write(o Occurrence) (store.Write, error)
}
