package httpprobe_test

import (
	"flag"
	"testing"

	"credence/shared/probe/probetest"
)

// words is what the rows say, for people to read.
var words probetest.Words

var update = flag.Bool("update", false, "write the golden file anew")

// said begins the names of the rows whose words are kept.
const said = "TestWhatIsSaid/"

func TestWhatIsSaid(t *testing.T) {
	t.Cleanup(func() { words.Golden(t, *update) }) // behind the parallel rows
	t.Run("both ways", answersBothWays)
	t.Run("too often", tooOften)
	t.Run("settings", rightAndWrongSettings)
	t.Run("keys", waysToSignIn)
	t.Run("tokens", tokens)
	t.Run("not dialled", unsupportedWaysAreNotDialled)
	t.Run("own headers", ownHeaders)
	t.Run("challenges", challenges)
	t.Run("doubtful tokens", doubtfulTokens)
}
