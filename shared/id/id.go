// Package id makes the integers that name things. They fit a JavaScript number
// exactly, sort by the time they were made, and need no counter: two makers
// can only collide within the same millisecond, and the precondition of the
// write that creates the thing catches that.
package id

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
	"time"
)

// Max is the largest integer that every client can hold exactly (RFC 7493,
// section 2.2).
const Max = 1<<53 - 1

// randomBits of an id are random; the 41 above count the milliseconds since
// the epoch below, which lasts until the year 2093.
const randomBits = 12

var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// New makes an id for something made now that differs from those taken, which
// are the ids that the same commit names: a commit that names a row twice fails,
// and no precondition catches it. There are fewer than 4,096 taken ones.
// crypto/rand does not fail: it ends the program instead.
func New(now time.Time, taken ...int64) int64 {
	for {
		var b [2]byte
		_, _ = rand.Read(b[:])
		n := First(now) | int64(binary.BigEndian.Uint16(b[:])&(1<<randomBits-1))
		if !slices.Contains(taken, n) {
			return n
		}
	}
}

// First is the least id that New can make at t, for ranges over time. Times
// before the epoch give 0, which names nothing.
func First(t time.Time) int64 {
	ms := t.UnixMilli() - epoch.UnixMilli()
	if ms < 0 {
		return 0
	}
	if ms >= 1<<41 {
		ms = 1<<41 - 1
	}
	return ms << randomBits
}

// At returns the id at t that n selects: equal arguments give equal ids. It
// names a thing of which there is one for each t and n.
func At(t time.Time, n int64) int64 { return First(t) | n&(1<<randomBits-1) }

// Time returns the millisecond that an id was made in, in UTC.
func Time(id int64) time.Time {
	return epoch.Add(time.Duration(id>>randomBits) * time.Millisecond)
}
