package credential

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"credence/shared/envelope"
	"credence/shared/identity"
	"credence/shared/store"
)

// This file names every row of a credential, and reads what a name holds.

const (
	rowPrefix       = "CRED#"
	secretPrefix    = "SEC#"
	versionPrefix   = "VER#"
	resultPrefix    = "RES#"
	referencePrefix = "REF#"
	lastReadPrefix  = "USE#"
	grantPrefix     = "GRANT#"
)

func meta(partition, sort string) store.Key {
	return store.Key{Table: store.Meta, Partition: partition, Sort: sort}
}

// RowKey is the key of a credential's row.
func RowKey(org, id int64) store.Key { return meta(identity.OrgPartition(org), rowSort(id)) }

func rowSort(id int64) string { return store.NewKeyText().Padded(rowPrefix, id).String() }

// rowID reads the id from a row's sort key, or from that of an index row.
func rowID(sort string) (int64, bool) { return store.Numbered(sort, rowPrefix) }

// The index rows serve lists only; no right is read from them.
func orgIndexPartition(org int64) string { return identity.OrgPartition(org) + "#IDX" }

func orgIndexKey(org, id int64) store.Key { return meta(orgIndexPartition(org), rowSort(id)) }

// allPartition has the credentials that the whole organisation was granted.
func allPartition(org int64) string { return identity.OrgPartition(org) + "#ALL" }

func accessorsKey(org, id int64) store.Key { return meta(ownPartition(org, id), "ACL") }

// usedPartition has, for each credential whose secret was read, the day of the last
// read by anybody.
func usedPartition(org int64) string { return identity.OrgPartition(org) + "#USED" }

func usedKey(org, id int64) store.Key { return meta(usedPartition(org), rowSort(id)) }

// userGrantKey is the row of a credential that a user was granted. It is not among the
// rows of what the user owns, so that their keys alone are a list.
func userGrantKey(org, user, id int64) store.Key {
	return meta(identity.UserPartition(org, user), store.NewKeyText().Padded(grantPrefix, id).String())
}

func userIndexKey(org, user, id int64) store.Key {
	return meta(identity.UserPartition(org, user), rowSort(id))
}

// ownPartition holds what belongs to one credential alone.
func ownPartition(org, id int64) string {
	return store.NewKeyText().Int("ORG#", org).Int("#C#", id).String()
}

func versionKey(org, id, sv int64) store.Key {
	return meta(ownPartition(org, id), store.NewKeyText().Padded(versionPrefix, sv).String())
}

func versionNumber(sort string) (int64, bool) { return store.Numbered(sort, versionPrefix) }

func leaseKey(org, id int64) store.Key { return meta(ownPartition(org, id), "LEASE") }

func resultKey(org, id, n int64) store.Key {
	n %= resultsKept
	return meta(ownPartition(org, id), resultPrefix+string([]byte{'0' + byte(n/10), '0' + byte(n%10)}))
}

func requestKey(org, id, number int64) store.Key {
	return meta(ownPartition(org, id), store.NewKeyText().Padded("REQ#", number).String())
}

func lastReadKey(org, id int64, by identity.Caller) store.Key {
	return meta(ownPartition(org, id), store.NewKeyText().Int(lastReadPrefix+"U", by.User.ID).Int("-K", by.KeyID).String())
}

// ReferenceKey is the key of the row of a user of a credential.
func ReferenceKey(org, id int64, r Reference) store.Key {
	prefix := referencePrefix + r.Kind + "#"
	if n, err := strconv.ParseInt(r.ID, 10, 64); r.Number && err == nil {
		return meta(ownPartition(org, id), store.NewKeyText().Padded(prefix, n).String())
	}
	return meta(ownPartition(org, id), prefix+r.ID)
}

func secretKey(org, id, sv int64) store.Key {
	return store.Key{
		Table: store.Vault, Partition: identity.OrgPartition(org),
		Sort: store.NewKeyText().Padded(secretPrefix, id).Padded("#", sv).String(),
	}
}

// secretPlace reads from a secret's key whose it is: all but its type.
func secretPlace(k store.Key) (envelope.Binding, bool) {
	org, whole := store.Numbered(k.Partition, "ORG#")
	id, rest, ok := store.CutNumber(k.Sort, secretPrefix)
	sv, last := store.Numbered(rest, "#")
	return envelope.Binding{Org: org, Credential: id, Version: sv}, whole && ok && last
}

// dueKey is the credential's place in the schedule: a minute of the day for a
// daily probe, a minute of the hour for an hourly one, spread by id so that
// neither comes in a burst.
func dueKey(org, id int64, i Interval) (store.Key, bool) {
	sum := sha256.Sum256(strconv.AppendInt(nil, id, 10))
	n := int(sum[0])<<8 | int(sum[1])
	slot, digits := "DUE#D", 4
	switch i {
	case Daily:
		n %= 24 * 60
	case Hourly:
		slot, digits, n = "DUE#H", 2, n%60
	default:
		return store.Key{}, false
	}
	minute := strconv.Itoa(n)
	return meta(slot+"0000"[:digits-len(minute)]+minute, ownPartition(org, id)), true
}

// principalKey is where one sign-in at one target is claimed across all
// credentials of the organisation. The name is a hash: it would say what the
// organisation connects to.
func principalKey(org int64, principal string) store.Key {
	sum := sha256.Sum256([]byte(principal))
	return meta(identity.OrgPartition(org)+"#PRINC", hex.EncodeToString(sum[:]))
}

// resultsKept is how many results of probes the history holds.
const resultsKept = 20
