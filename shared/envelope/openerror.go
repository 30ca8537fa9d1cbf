package envelope

// Cause says why a record did not open. It is for the log and for a metric's
// dimension, never for the caller of an API: which check failed helps whoever
// forges records.
type Cause string

// The causes, in the order in which they are checked.
const (
	CauseBinding    Cause = "binding"    // the binding itself is incomplete
	CauseFormat     Cause = "format"     // not the layout, format or algorithm known
	CauseKeyID      Cause = "key_id"     // the key named is not on the list
	CauseUnwrap     Cause = "unwrap"     // the KMS refuses the wrapped key or its context
	CauseCommitment Cause = "commitment" // the data key is not the one that sealed
	CauseTag        Cause = "tag"        // ciphertext, nonce, header or binding was changed
	CausePadding    Cause = "padding"    // authentic, and yet not padded as format 1 says
)

// Causes is every Cause.
var Causes = []Cause{CauseBinding, CauseFormat, CauseKeyID, CauseUnwrap, CauseCommitment, CauseTag, CausePadding}

// OpenError is the one kind of failure of Open that is the record's fault, and
// what a Decrypter answers for it. errors.Is(err, ErrOpen) holds for it.
type OpenError struct {
	Cause Cause
	err   error
}

// Refuse makes the OpenError of a cause. err says more, without a byte of what
// was refused.
func Refuse(cause Cause, err error) *OpenError { return &OpenError{Cause: cause, err: err} }

// Error is for the log.
func (e *OpenError) Error() string {
	return "opening a record: " + string(e.Cause) + ": " + e.err.Error()
}

// Unwrap makes the error ErrOpen and keeps what lies beneath.
func (e *OpenError) Unwrap() []error { return []error{ErrOpen, e.err} }
