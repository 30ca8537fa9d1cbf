package identity

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"credence/shared/store"
)

// MaxSessionsPerKey is the number of sessions that one service key has at a
// time. One more ends the oldest.
const MaxSessionsPerKey = 50

// sessions is the row that holds every session of one key, oldest first. They
// share a row, apart from the key's own: the row bounds their number, and a
// flood of sign-ins never competes with the pause of the key.
//
//	list  n × (SHA-256 of the token's random bytes [32] | expiry, milliseconds since 1970, big-endian [8])
type sessions struct {
	key    store.Key
	found  bool
	rev    int64
	next   int64 // the revision of its next write; never used before, also if the row was deleted meanwhile
	madeAt int64 // of the key's secret that opened them
	list   []session
}

type session struct {
	hash    hash
	expires time.Time
}

const sessionBytes = len(hash{}) + 8

func sessionsKey(org, user, key int64) store.Key {
	return store.Key{Table: store.Meta, Partition: UserPartition(org, user), Sort: store.NewKeyText().Padded("SES#", key).String()}
}

// decodeSessions reads the row of a key's sessions. Sessions that have expired
// at now, or that another secret of the key opened, are left out.
func decodeSessions(k keyRow, i store.Item, now time.Time) (sessions, error) {
	rev := i.Attributes.Int("rev")
	s := sessions{
		key: sessionsKey(k.OrgID, k.OwnerID, k.ID), found: i.Found(), madeAt: k.madeAt,
		rev: rev, next: max(rev+1, now.UnixMilli()),
	}
	if i.Attributes.Int("made") != k.madeAt {
		return s, nil
	}
	data := i.Attributes.Bytes("list")
	if len(data)%sessionBytes != 0 {
		return sessions{}, fmt.Errorf("reading the sessions of a service key: %w", errRow)
	}
	for one := range slices.Chunk(data, sessionBytes) {
		ms := binary.BigEndian.Uint64(one[len(hash{}):])
		if expires := time.UnixMilli(int64(ms)); now.Before(expires) {
			s.list = append(s.list, session{hash(one[:len(hash{})]), expires})
		}
	}
	return s, nil
}

func (s sessions) has(h hash) bool {
	return slices.ContainsFunc(s.list, func(one session) bool { return one.hash.matches(h) })
}

// with adds a session and drops the oldest ones beyond the limit.
func (s sessions) with(h hash, expires time.Time) store.Write {
	list := append(slices.Clone(s.list), session{h, expires})
	return s.write(list[max(0, len(list)-MaxSessionsPerKey):])
}

// without removes a session.
func (s sessions) without(h hash) store.Write {
	return s.write(slices.DeleteFunc(slices.Clone(s.list), func(one session) bool { return one.hash == h }))
}

func (s sessions) write(list []session) store.Write {
	data := make([]byte, 0, len(list)*sessionBytes)
	var last time.Time
	for _, one := range list {
		data = append(data, one.hash[:]...)
		data = binary.BigEndian.AppendUint64(data, uint64(one.expires.UnixMilli()))
		last = one.expires
	}
	unchanged := store.Absent()
	if s.found {
		unchanged = store.Equal("rev", s.rev)
	}
	if len(list) == 0 {
		return store.Write{Verb: store.Delete, Item: store.Item{Key: s.key}, If: unchanged}
	}
	return store.Write{Verb: store.Put, If: unchanged, Item: store.Item{
		Key: s.key, Expires: last, Attributes: store.Attributes{"list": data, "made": s.madeAt, "rev": s.next},
	}}
}
