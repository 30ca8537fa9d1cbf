package endtoend

import (
	"os"
	"testing"
)

// TestService runs the suite over a service that is already there:
//
//	CREDENCE_URL          where the API begins
//	CREDENCE_KEY_A        a service key of an admin of one organisation
//	CREDENCE_KEY_B        a service key of an admin of another one
//	CREDENCE_USER_KEY_A   may be absent: of a plain user of the first
//	CREDENCE_TARGETS      an address of this machine that its probes may reach
func TestService(t *testing.T) {
	if os.Getenv("CREDENCE_URL") == "" {
		t.Skip("CREDENCE_URL names no running service; functions/credence runs the same suite over one of its own")
	}
	s := Service{
		URL:     os.Getenv("CREDENCE_URL"),
		Targets: os.Getenv("CREDENCE_TARGETS"),
		Keys: [2]OrgKeys{
			{Admin: os.Getenv("CREDENCE_KEY_A"), User: os.Getenv("CREDENCE_USER_KEY_A")},
			{Admin: os.Getenv("CREDENCE_KEY_B")},
		},
	}
	Run(t, s)
	t.Run("types", func(t *testing.T) { RunTypes(t, s) })
}
