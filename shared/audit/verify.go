package audit

import (
	"context"
	"fmt"
	"time"

	"credence/shared/id"
	"credence/shared/store"
)

// FaultCode names a kind of damage to an audit log.
type FaultCode string

// The kinds of damage.
const (
	FaultUnreadable FaultCode = "unreadable" // the entry does not decode, or its format is not known
	FaultAltered    FaultCode = "altered"    // the entry is not the one whose digest its successor, or the head, contains
	FaultMissing    FaultCode = "missing"    // the chain has a gap, or ends before the head
	FaultOrder      FaultCode = "order"      // the numbers, times or formats of the chain go back
	FaultExpires    FaultCode = "expires"    // a change would expire; only observations do
	FaultMoved      FaultCode = "moved"      // the id of an observation is of another time than the entry
	FaultHead       FaultCode = "head"       // the head contradicts the chain, or is not there
)

// Fault is one place of a log that is damaged.
type Fault struct {
	Key     store.Key // of the entry or the head
	Code    FaultCode
	Message string // what is wrong, with numbers and ids alone
}

// Report is the result of Verify.
type Report struct {
	Changes      int64 // entries of the chain that were read
	Observations int64 // entries outside the chain
	Faults       []Fault
	More         bool // the log has more faults than MaxFaults
}

// MaxFaults bounds the faults of one report.
const MaxFaults = 100

const (
	verifyPage   = 500 // entries that Verify holds in memory at once
	verifyRounds = 5   // attempts to catch up with changes committed meanwhile
)

// Verify reads the whole log of one credential, oldest entry first and a page
// at a time, and reports each place where it differs from what was recorded. A
// log that does not exist has no faults, and changes committed meanwhile are
// not faults. The error is the store's; damage is in the report.
//
// The chain proves the changes. An observation is outside it: its removal, or an
// alteration that leaves its id and time alone, is not noticed.
func Verify(ctx context.Context, s store.Store, org, credential int64) (Report, error) {
	v := &verifier{store: s, headKey: HeadKey(org, credential)}
	for round := 0; ; round++ {
		fresh, err := v.rest(ctx)
		if err != nil {
			return Report{}, err
		}
		// The head is read after the entries, so it is never behind them.
		items, err := s.Get(ctx, v.headKey)
		if err != nil {
			return Report{}, err
		}
		v.head = DecodeHead(items[0])
		switch {
		case v.head.Number <= v.last.number, round > 0 && fresh == 0:
			v.end(items[0].Found())
			return v.Report, nil
		case round == verifyRounds:
			v.settle(true) // others keep changing the credential; the head is not compared
			return v.Report, nil
		}
	}
}

// verifier walks one chain.
type verifier struct {
	Report
	store   store.Store
	head    Head
	headKey store.Key
	after   string // the sort key of the last entry that was read
	last    link   // of the chain so far
	suspect *link  // does not match last, which may be the altered one itself
}

// link is what the walk remembers of one change.
type link struct {
	key    store.Key
	number int64
	hash   string // "" where it cannot be computed
	format int64
	entry  Entry
}

// rest reads the entries that were not read yet and returns their number.
func (v *verifier) rest(ctx context.Context) (int, error) {
	r := store.Under(store.Audit, v.headKey.Partition, prefix)
	r.Limit = verifyPage
	for fresh := 0; ; {
		r.After = v.after
		page, err := v.store.Range(ctx, r)
		if err != nil {
			return 0, err
		}
		for _, item := range page.Items {
			v.entry(item)
			v.after = item.Key.Sort
		}
		fresh += len(page.Items)
		if !page.More {
			return fresh, nil
		}
	}
}

func (v *verifier) fault(key store.Key, code FaultCode, message string, args ...any) {
	if len(v.Faults) == MaxFaults {
		v.More = true
		return
	}
	v.Faults = append(v.Faults, Fault{Key: key, Code: code, Message: fmt.Sprintf(message, args...)})
}

func (v *verifier) entry(item store.Item) {
	e, err := Decode(item)
	hash, hashErr := digest(item)
	if err != nil || hashErr != nil {
		v.fault(item.Key, FaultUnreadable, "The entry does not decode, or has a format that this version does not know.")
	}
	number, chained := item.Attributes["n"].(int64)
	if !chained {
		v.Observations++
		if err == nil && (e.ID < id.First(e.At) || e.ID >= id.First(e.At.Add(time.Millisecond))) {
			v.fault(item.Key, FaultMoved, "The id of observation %d is of another time than the entry.", e.ID)
		}
		return
	}
	v.Changes++
	if !item.Expires.IsZero() {
		v.fault(item.Key, FaultExpires, "Change %d expires; changes are kept for ever.", number)
	}
	l := link{key: item.Key, number: number, hash: hash, format: max(item.Attributes.Int("format"), 1), entry: e}
	v.follow(l, item.Attributes.Text("prev"))
}

// follow compares a change with the one before it.
func (v *verifier) follow(l link, prev string) {
	switch {
	case l.number <= v.last.number:
		v.fault(l.key, FaultOrder, "Change %d comes after change %d.", l.number, v.last.number)
		return
	case l.number > v.last.number+1:
		v.settle(false)
		v.gap(l.key, v.last.number+1, l.number-1)
	default:
		// A mismatch blames the earlier change only if the later one is itself
		// what its successor contains, so the decision waits for that.
		v.settle(prev == v.last.hash)
		if prev != v.last.hash {
			before := v.last
			v.suspect = &before
		}
	}
	if l.format < v.last.format {
		v.fault(l.key, FaultOrder, "Change %d has format %d; the change before it has format %d.", l.number, l.format, v.last.format)
	}
	v.last = l
}

// settle decides what the last mismatch between two changes means, once it is
// known whether the later of them is intact. If not, that one explains it.
func (v *verifier) settle(intact bool) {
	if v.suspect != nil && intact {
		v.fault(v.suspect.key, FaultAltered, "Change %d is not the one that was recorded: its digest differs.", v.suspect.number)
	}
	v.suspect = nil
}

func (v *verifier) gap(at store.Key, from, to int64) {
	if from == to {
		v.fault(at, FaultMissing, "Change %d is missing.", from)
		return
	}
	v.fault(at, FaultMissing, "Changes %d to %d are missing.", from, to)
}

// end compares the last change with the head.
func (v *verifier) end(there bool) {
	h, l := v.head, v.last
	switch {
	case l.number == 0 && !there:
	case !there || h.Number < l.number:
		v.settle(true)
		v.fault(v.headKey, FaultHead, "The head is missing, or names change %d although change %d follows.", h.Number, l.number)
	case h.Number > l.number:
		v.settle(false)
		v.gap(v.headKey, l.number+1, h.Number)
	case l.hash != h.Hash:
		v.settle(false)
		v.fault(l.key, FaultAltered, "Change %d is not the one that was recorded: its digest differs from that of the head.", l.number)
	default:
		v.settle(true)
		e := l.entry
		if h.LastID != e.ID || h.OwnerID != e.OwnerID || h.OwnerEmail != e.OwnerEmail || h.Gone != (e.Event == Destroyed) {
			v.fault(v.headKey, FaultHead, "The head does not agree with change %d, the last one.", l.number)
		}
	}
}
