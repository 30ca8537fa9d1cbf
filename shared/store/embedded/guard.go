package embedded

import (
	"fmt"
	"runtime/debug"

	"credence/shared/store"
)

// guarded runs do, which reads the mapped file. The engine trusts what the file
// holds: a damaged page makes it panic, and a file that was cut off while it is
// open makes the memory access fault, which by default ends the process. Here
// both become an error that is store.ErrUnavailable and store.ErrDamaged. do runs
// in the caller's goroutine, to which the setting for faults belongs.
func guarded(doing string, do func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s: the file cannot be read as it is (%T: %.200v): %w: %w",
				doing, v, v, store.ErrUnavailable, store.ErrDamaged)
		}
	}()
	return do()
}
