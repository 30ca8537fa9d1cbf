package credential_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/store"
	"credence/shared/store/dynamo/dynamotest"
)

// newWired is a world over tables of its own in the engine at an endpoint, behind
// a wire.
func newWired(t *testing.T, endpoint, name string) (*world, *dynamotest.Wire) {
	t.Helper()
	var between *dynamotest.Wire
	w := newWorldOver(t, func(now func() time.Time) store.Store {
		var s store.Store
		s, between = dynamotest.Store(t, endpoint, name, now)
		return s
	})
	return w, between
}

// TestEveryCallOverDynamoDB breaks each exchange with DynamoDB that an operation
// makes. What passes is made good unseen; what lasts is answered truly.
func TestEveryCallOverDynamoDB(t *testing.T) {
	endpoint := dynamotest.Engine(t)
	t.Run("all", func(t *testing.T) { // which ends before the engine does
		for n, o := range tasks {
			for m, f := range []string{dynamotest.OnceEach, dynamotest.Throttling, dynamotest.Answerless} {
				t.Run(o.name+" "+f, func(t *testing.T) {
					t.Parallel()
					w, between := newWired(t, endpoint, fmt.Sprintf("wired-%d-%d", n, m))
					if met := o.everyCall(w, between, f, nil); met < 2 {
						t.Errorf("only %d calls were met", met)
					}
					w.checkOf("USE#")
				})
			}
		}
	})
}

// TestConflictThatLasts counts the calls of one 409: twice a range and four
// commits, and a read in between.
func TestConflictThatLasts(t *testing.T) {
	w, between := newWired(t, dynamotest.Engine(t), "conflict")
	id := w.create(w.owner).ID
	read := load[credential.ForChange](w, w.owner, id)
	between.Arm(1, dynamotest.Conflicts)
	start := time.Now()
	_, err := w.editor.Update(context.Background(), w.owner, read, credential.Draft{Credentials: postgres("n")})
	w.wantFault(err, fault.CodeConflict)
	if between.Calls() != 11 {
		t.Errorf("%d calls, want 11", between.Calls())
	}
	t.Logf("%d calls in %v", between.Calls(), time.Since(start))
}
