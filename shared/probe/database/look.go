package database

import (
	"context"
	"time"
	"unicode/utf8"

	"credence/shared/probe"
)

// What a look takes in.
const (
	// MaxRead is how many bytes of names and values are kept of one look: half
	// of what the guard lets through, and little enough that even a tree of
	// names that must be escaped fits into an answer.
	MaxRead = 448 << 10
	// MaxText is the longest name, type or default of a column that is shown,
	// in bytes.
	MaxText = 1 << 10
	// lockWait is how long a look waits for others at most.
	lockWait = 2 * time.Second
)

// Meter counts what a look takes in.
type Meter int

// Take counts a row; false if it is too much.
func (m *Meter) Take(row [][]byte) bool {
	size := 8 // an endless list of nothing ends, too
	for _, value := range row {
		size += 4 + len(value)
	}
	*m += Meter(size)
	return *m <= MaxRead
}

// Patience is what the server is told to spend on one statement, and on waiting
// for a lock: less than is left, so that it ends of its own and says so.
func Patience(ctx context.Context) (statement, lock time.Duration) {
	statement = lockWait
	if deadline, ok := ctx.Deadline(); ok {
		statement = max(time.Until(deadline)*9/10, time.Millisecond)
	}
	return statement, max(min(lockWait, statement/2), time.Millisecond)
}

// Named reports whether a text can be a name on such a server. One with a NUL
// would end before its end.
func Named(text string) bool {
	for _, c := range text {
		if c == 0 {
			return false
		}
	}
	return text != "" && utf8.ValidString(text)
}

// trim takes off what is left of a character that was cut in two at the end.
func trim(text string) string {
	for range utf8.UTFMax - 1 {
		if c, size := utf8.DecodeLastRuneInString(text); c != utf8.RuneError || size != 1 {
			break
		}
		text = text[:len(text)-1]
	}
	return text
}

// What a look at a table ends with, wherever it is.
var (
	ErrTableDenied = probe.Found(probe.WarnScopeMissing, "The account may not read this table, or something that its view reads. Have SELECT granted to it there.").Asked(probe.AskedTable)
	ErrTableLocked = probe.Found(probe.CodeTargetUnavailable, "Another session holds a lock on this table. Try again later.").Asked(probe.AskedTable)
	ErrTableLate   = probe.Found(probe.CodeProbeTimeout, "The server did not read some rows of this table in time. A view may have much to compute; name a table that it reads.").Asked(probe.AskedTable)
	ErrTableWrites = probe.Found(probe.CodeTargetUnavailable, "To read this view something would be changed on the server, which a look does not do. Name a table that it reads.").Asked(probe.AskedTable)
	ErrTableBroken = probe.Found(probe.CodeTargetUnavailable, "The server reports an error when it reads this table. If it is a view, it may name what is gone or may not be read, or a function of it may fail: run it there.").Asked(probe.AskedTable)
	ErrListLate    = probe.Found(probe.CodeProbeTimeout, "The server did not list all of it in time. Ask for one database or one table, or for less depth.")
	ErrListLocked  = probe.Found(probe.CodeTargetUnavailable, "Another session holds a lock on one of the tables. Try again later, or ask for one table or for less depth.")
)
