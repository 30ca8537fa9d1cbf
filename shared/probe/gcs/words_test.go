package gcsprobe_test

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
	t.Run("account", serviceAccounts)
	t.Run("token", tokens)
	t.Run("not dialled", refusedWithoutDialling)
	t.Run("answers", hostileAnswers)
	t.Run("reads", hostileReads)
	t.Run("servers", hostileServers)
}
