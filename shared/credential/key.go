package credential

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"credence/shared/store"
)

func meta(partition, sort string) store.Key {
	return store.Key{Table: store.Meta, Partition: partition, Sort: sort}
}

func orgPartition(org int64) string { return fmt.Sprintf("ORG#%d", org) }

func rowKey(org, id int64) store.Key { return meta(orgPartition(org), rowSort(id)) }

func rowSort(id int64) string { return fmt.Sprintf("CRED#%016d", id) }

// The index rows serve lists only; no right is read from them.
func orgIndexKey(org, id int64) store.Key {
	return meta(fmt.Sprintf("ORG#%d#IDX", org), rowSort(id))
}

func userPartition(org, user int64) string { return fmt.Sprintf("ORG#%d#U#%d", org, user) }

func userIndexKey(org, user, id int64) store.Key {
	return meta(userPartition(org, user), rowSort(id))
}

// ownPartition holds what belongs to one credential alone.
func ownPartition(org, id int64) string { return fmt.Sprintf("ORG#%d#C#%d", org, id) }

func versionKey(org, id, sv int64) store.Key {
	return meta(ownPartition(org, id), fmt.Sprintf("VER#%016d", sv))
}

func leaseKey(org, id int64) store.Key { return meta(ownPartition(org, id), "LEASE") }

func resultKey(org, id, n int64) store.Key {
	return meta(ownPartition(org, id), fmt.Sprintf("RES#%02d", n%resultsKept))
}

func lastReadKey(org, id int64, principal string) store.Key {
	return meta(ownPartition(org, id), "USE#"+principal)
}

func secretKey(org, id, sv int64) store.Key {
	return store.Key{
		Table: store.Vault, Partition: orgPartition(org),
		Sort: fmt.Sprintf("SEC#%016d#%016d", id, sv),
	}
}

// dueKey is the credential's place in the schedule: a minute of the day for a
// daily probe, a minute of the hour for an hourly one, spread by id so that
// neither comes in a burst.
func dueKey(org, id int64, i Interval) (store.Key, bool) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d", id))
	n := int(sum[0])<<8 | int(sum[1])
	var slot string
	switch i {
	case Daily:
		slot = fmt.Sprintf("D%04d", n%(24*60))
	case Hourly:
		slot = fmt.Sprintf("H%02d", n%60)
	default:
		return store.Key{}, false
	}
	return meta("DUE#"+slot, ownPartition(org, id)), true
}

// principalKey is where one sign-in at one target is claimed across all
// credentials of the organisation. The name is a hash: it would say what the
// organisation connects to.
func principalKey(org int64, principal string) store.Key {
	sum := sha256.Sum256([]byte(principal))
	return meta(fmt.Sprintf("ORG#%d#PRINC", org), hex.EncodeToString(sum[:]))
}
