// Package endtoend asks a running service what a client would ask and holds
// every answer to the published contract. It speaks HTTP only and shares no code
// with the service, so that it is a second reading of the contract: the same
// suite runs over the local server, over the functions as they are shipped, and
// over a deployment.
//
// Each check makes what it needs and removes it again. Other data in the
// organisations is left alone and disturbs nothing.
package endtoend

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Service is a running service and what the suite needs to use it.
type Service struct {
	// URL is where the API begins, without a slash at the end.
	URL string
	// Keys are service keys with every scope, of two organisations.
	Keys [2]OrgKeys
	// Targets is an address of this machine that the service can reach and
	// its operator allows probes to, plaintext included: the suite listens
	// there for the probes it asks for, on ports the system chooses.
	Targets string
}

// OrgKeys are the service keys of one organisation.
type OrgKeys struct {
	// Admin belongs to an admin of the organisation.
	Admin string
	// User belongs to a user of the organisation who is no admin. Without
	// one in the first organisation, what such a user may not do is not
	// checked and the tests say that they were skipped.
	User string
}

// suite is one run.
type suite struct {
	Service
	http   *http.Client
	leaks  *canaries
	admin  *session // of the first organisation
	other  *session // admin of the second organisation
	member *session // plain user of the first organisation; nil without a key
	// keys bounds how many checks hold service keys at once: a user has at
	// most twenty.
	keys    chan struct{}
	holding sync.Map // the tests that hold a place in keys
	// described is the service's own OpenAPI document, which every answer must
	// be as it says.
	described *described
	listed    int64        // checks there are
	ran       atomic.Int64 // of them, those that came to their end
}

// check is one thing to find out.
type check struct {
	name string
	run  func(t *testing.T, su *suite)
}

// Run holds the service to the contract, and to the OpenAPI document that it
// gives of itself: each answer must be as that says, and each of its operations
// must have succeeded at least once. It takes about a minute: several checks
// wait out the five seconds between two probes of one credential.
func Run(t *testing.T, s Service) {
	su := open(t, s)
	t.Run("contract", func(t *testing.T) {
		su.all(t, accountChecks(), keyChecks(), peopleChecks(), teamChecks(), createChecks(), readChecks(), listChecks(), updateChecks(),
			deleteChecks(), referenceChecks(), resourceChecks(), sharingChecks(), tagChecks(), revealChecks(), auditChecks(), probeChecks(), verdictChecks(), tryChecks(), browseChecks(), endChecks(),
			schemaChecks(), refusalChecks(), jsonChecks(), limitChecks(), isolationChecks(), raceChecks(), describedChecks())
	})
	// Versions of a secret, copies, and writes that carry their own condition
	// or key.
	t.Run("versions", func(t *testing.T) {
		su.all(t, versionChecks(), copyChecks(), conditionChecks(), idempotencyChecks())
	})
	su.alone(t)
	su.complete(t)
}

// RunTypes holds the service to the whole list of types.
func RunTypes(t *testing.T, s Service) {
	su := open(t, s)
	su.all(t, typeChecks())
}

// open signs in and says at once what is missing.
func open(t *testing.T, s Service) *suite {
	t.Helper()
	s.URL = strings.TrimSuffix(s.URL, "/")
	if s.URL == "" || s.Keys[0].Admin == "" || s.Keys[1].Admin == "" || s.Targets == "" {
		t.Fatal("the suite needs a URL, an admin's key of each of two organisations, and an address for probe targets")
	}
	su := &suite{
		Service: s,
		// Released clients give up after ten seconds, and so does this one:
		// no answer may take longer.
		http: &http.Client{
			Timeout:       10 * time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		leaks: newCanaries(),
		keys:  make(chan struct{}, 2),
	}
	t.Cleanup(su.http.CloseIdleConnections)
	su.describe(t)
	su.admin = su.signIn(t, s.Keys[0].Admin)
	su.other = su.signIn(t, s.Keys[1].Admin)
	if su.admin.org == su.other.org {
		t.Fatal("both keys are of one organisation")
	}
	if s.Keys[0].User != "" {
		su.member = su.signIn(t, s.Keys[0].User)
		if su.member.org != su.admin.org || su.member.user == su.admin.user {
			t.Fatal("the user's key is not of another user of the first organisation")
		}
	}
	return su
}

// all runs the checks side by side.
func (su *suite) all(t *testing.T, families ...[]check) {
	for _, family := range families {
		for _, c := range family {
			su.listed++
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, su)
				su.ran.Add(1)
			})
		}
	}
}

// needMember skips a check that a plain user's key is needed for.
func (su *suite) needMember(t *testing.T) *session {
	t.Helper()
	if su.member == nil {
		t.Skip("no service key of a plain user was given")
	}
	return su.member
}

// label makes a name that no other run uses.
func label(about string) string { return fmt.Sprintf("e2e %s %s", about, random()[:10]) }
