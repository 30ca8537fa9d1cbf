package store

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// MaxNameBytes is the longest attribute name. DynamoDB allows 64 KB in an item
// but only 255 bytes where an expression names the attribute.
const MaxNameBytes = 255

// maxNumber is the largest magnitude that JSON readers keep exactly.
const maxNumber = 1<<53 - 1

// ValidateGet refuses what Get must refuse, the same for every implementation:
// more than MaxKeysPerGet keys, equal ones counted each (ErrTooLarge), and keys
// that are none (ErrInvalid, ErrTooLarge). No keys at all are valid. It never
// repeats a key in its error.
func ValidateGet(keys []Key) error {
	if len(keys) > MaxKeysPerGet {
		return fmt.Errorf("checking a get: %d keys: %w", len(keys), ErrTooLarge)
	}
	for i, k := range keys {
		if err := validateKey(k); err != nil {
			return fmt.Errorf("checking a get: key %d: %w", i, err)
		}
	}
	return nil
}

// ValidateRange refuses what Range must refuse. A range in which nothing can
// lie (From behind To) is valid and empty: see Narrow.
func ValidateRange(r Range) error {
	if err := validateTable(r.Table); err != nil {
		return fmt.Errorf("checking a range: %w", err)
	}
	if err := validateKeyPart(r.Partition, MaxPartitionBytes); err != nil {
		return fmt.Errorf("checking a range: partition: %w", err)
	}
	for _, s := range []string{r.From, r.To, r.After} {
		if s == "" {
			continue
		}
		if err := validateKeyPart(s, MaxSortBytes); err != nil {
			return fmt.Errorf("checking a range: bound: %w", err)
		}
	}
	if r.Limit < 0 {
		return fmt.Errorf("checking a range: negative limit: %w", ErrInvalid)
	}
	return nil
}

// Narrow reconciles After with From and To, which engines expect to be done
// for them (DynamoDB refuses a start key outside the bounds, and From behind
// To). It returns the range without an After that lies before its first item,
// and false if no sort key can lie in it.
func (r Range) Narrow() (Range, bool) {
	if r.From != "" && r.To != "" && r.From > r.To {
		return r, false
	}
	first, last, beyond := r.From, r.To, func(a, b string) bool { return a >= b }
	if r.Descending {
		first, last, beyond = r.To, r.From, func(a, b string) bool { return a <= b }
	}
	if r.After == "" {
		return r, true
	}
	if last != "" && beyond(r.After, last) {
		return r, false
	}
	if first != "" && !beyond(r.After, first) {
		r.After = ""
	}
	return r, true
}

// ValidateCommit refuses what Commit must refuse before anything is written:
// no writes, a verb or condition not stated, a key named twice, an attribute
// of a wrong type or reserved name, text that is not UTF-8 (ErrInvalid); more
// than MaxWritesPerCommit writes, an item above MaxItemBytes, all together
// above MaxCommitBytes (ErrTooLarge). Of a Delete or Check it looks at the key
// and the condition only.
func ValidateCommit(writes []Write) error {
	if len(writes) == 0 {
		return fmt.Errorf("checking a commit: no writes: %w", ErrInvalid)
	}
	if len(writes) > MaxWritesPerCommit {
		return fmt.Errorf("checking a commit: %d writes: %w", len(writes), ErrTooLarge)
	}
	total := 0
	named := make(map[Key]struct{}, len(writes))
	for i, w := range writes {
		if err := validateWrite(w); err != nil {
			return fmt.Errorf("checking a commit: write %d: %w", i, err)
		}
		if _, twice := named[w.Item.Key]; twice {
			return fmt.Errorf("checking a commit: write %d: a key named twice: %w", i, ErrInvalid)
		}
		named[w.Item.Key] = struct{}{}
		total += WriteBytes(w)
	}
	if total > MaxCommitBytes {
		return fmt.Errorf("checking a commit: %d bytes: %w", total, ErrTooLarge)
	}
	return nil
}

func validateWrite(w Write) error {
	if err := validateKey(w.Item.Key); err != nil {
		return err
	}
	if err := validateCondition(w); err != nil {
		return err
	}
	switch w.Verb {
	case Delete, Check:
		return nil
	case Put:
		return validateItem(w.Item)
	default:
		return fmt.Errorf("no verb: %w", ErrInvalid)
	}
}

func validateItem(i Item) error {
	for name, value := range i.Attributes {
		if err := validateAttribute(name, value); err != nil {
			return err
		}
	}
	// Second 0 would read as "never", and nothing expires before it.
	if s := i.Expires.Unix(); !i.Expires.IsZero() && (s < 1 || s > maxNumber) {
		return fmt.Errorf("time of expiry out of range: %w", ErrInvalid)
	}
	if size := ItemBytes(i); size > MaxItemBytes {
		return fmt.Errorf("item of %d bytes: %w", size, ErrTooLarge)
	}
	return nil
}

func validateCondition(w Write) error {
	nothing := func() {}
	var err error
	always := func() {
		if w.Verb == Check {
			err = fmt.Errorf("a check that always holds: %w", ErrInvalid)
		}
	}
	equal := func(name string, value any) {
		if err = validateAttribute(name, value); err == nil && valueBytes(value) > MaxItemBytes {
			err = fmt.Errorf("value of a condition: %w", ErrTooLarge)
		}
	}
	if unstated := w.If.Match(nothing, nothing, always, equal); unstated != nil {
		return unstated
	}
	return err
}

func validateKey(k Key) error {
	if err := validateTable(k.Table); err != nil {
		return err
	}
	if err := validateKeyPart(k.Partition, MaxPartitionBytes); err != nil {
		return fmt.Errorf("partition: %w", err)
	}
	if err := validateKeyPart(k.Sort, MaxSortBytes); err != nil {
		return fmt.Errorf("sort key: %w", err)
	}
	return nil
}

func validateTable(t Table) error {
	switch t {
	case Meta, Vault, Audit:
		return nil
	}
	return fmt.Errorf("no such table: %w", ErrInvalid)
}

func validateKeyPart(s string, limit int) error {
	switch {
	case s == "":
		return fmt.Errorf("empty: %w", ErrInvalid)
	case len(s) > limit:
		return fmt.Errorf("%d bytes: %w", len(s), ErrTooLarge)
	case !utf8.ValidString(s):
		return fmt.Errorf("not UTF-8: %w", ErrInvalid)
	}
	return nil
}

func validateAttribute(name string, value any) error {
	switch {
	case name == "pk" || name == "sk" || name == "ttl":
		return fmt.Errorf("attribute name is the store's own: %w", ErrInvalid)
	case name == "" || !utf8.ValidString(name):
		return fmt.Errorf("attribute name empty or not UTF-8: %w", ErrInvalid)
	case len(name) > MaxNameBytes:
		return fmt.Errorf("attribute name of %d bytes: %w", len(name), ErrTooLarge)
	}
	switch v := value.(type) {
	case string:
		if !utf8.ValidString(v) {
			return fmt.Errorf("attribute is not UTF-8: %w", ErrInvalid)
		}
	case int64:
		if v > maxNumber || v < -maxNumber {
			return fmt.Errorf("attribute beyond 2^53: %w", ErrInvalid)
		}
	case bool, []byte:
	default:
		return fmt.Errorf("attribute of type %T: %w", value, ErrInvalid)
	}
	return nil
}

// conditionBytes is more than the text of any condition takes with all that it
// names but the attribute and the value of Equal.
const conditionBytes = 128

// WriteBytes is what a write counts against MaxCommitBytes: the item, or of a
// Delete or Check its key, and the condition. AWS states the limit for items
// (API_TransactWriteItems); its DynamoDB Local counts the text of conditions
// too, so room for them is kept whatever the engine.
func WriteBytes(w Write) int {
	item := w.Item
	if w.Verb != Put {
		item = Item{Key: item.Key}
	}
	n := ItemBytes(item) + conditionBytes
	nothing := func() {}
	// A condition not stated compares nothing, and ValidateCommit refuses it.
	_ = w.If.Match(nothing, nothing, nothing, func(name string, value any) { n += len(name) + valueBytes(value) })
	return n
}

// ItemBytes is the size of an item as DynamoDB counts it against 400 KB: names
// and values of all attributes, the key's and the time of expiry included
// (developer guide, "DynamoDB item sizes and formats"). Of a number, which AWS
// states approximately, it takes the upper end.
func ItemBytes(i Item) int {
	n := len("pk") + len(i.Key.Partition) + len("sk") + len(i.Key.Sort)
	if !i.Expires.IsZero() {
		n += len("ttl") + valueBytes(i.Expires.Unix())
	}
	for name, value := range i.Attributes {
		n += len(name) + valueBytes(value)
	}
	return n
}

func valueBytes(value any) int {
	switch v := value.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	case int64:
		return numberBytes(v)
	default:
		return 1
	}
}

// numberBytes is one byte, one for the sign, and one for two significant
// digits; the digits pair up around the decimal point, so an even count may
// straddle one byte more.
func numberBytes(v int64) int {
	n := 1
	if v < 0 {
		v, n = -v, n+1
	}
	for v != 0 && v%10 == 0 {
		v /= 10
	}
	digits := 0
	for ; v != 0; v /= 10 {
		digits++
	}
	return n + (digits+2)/2
}

// Expired reports whether the item has ceased to exist at this time, to the
// second.
func (i Item) Expired(now time.Time) bool {
	return !i.Expires.IsZero() && now.Unix() >= i.Expires.Unix()
}
