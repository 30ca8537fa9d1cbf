package credential

import (
	"context"
	"time"

	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/limit"
)

// Each way that reaches a system, probe, look, trial and proposal, is counted
// from before its secret is opened until its outcome is recorded. A target may
// keep one waiting for all of its seven seconds.
const (
	probesTotal = 64 // under way in one process
	probesOfOrg = 32 // of one organisation
	probesOfKey = 16 // of one service key

	slotWait = 2 * time.Second // until a slot may be free again
)

// ProbeSlots makes the bound for Tester.Slots of a process that serves many
// requests at once.
func ProbeSlots() *limit.Slots { return limit.NewSlots(probesTotal, probesOfOrg, probesOfKey) }

// slot takes the caller's slot for one probe or look, until free is called. It
// never waits: a caller beyond the bound gets CodeTooManyRequests, before anything
// was written, opened or dialled.
func (t Tester) slot(ctx context.Context, who identity.Caller) (free func(), err error) {
	free, err = t.Slots.Take(ctx, 0, 1, who.Org.ID, who.KeyID)
	if err != nil {
		return nil, fault.New(fault.CodeTooManyRequests,
			"As many probes are under way as may be at once, for your key, your organisation or this service. Wait, then try again.").
			After(slotWait).Because(err)
	}
	return free, nil
}
