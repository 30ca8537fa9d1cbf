package identity

import (
	"fmt"
	"strings"

	"credence/shared/access"
	"credence/shared/store"
)

// The items, all in the meta table. Numbers in sort keys are padded to 16
// digits, so that they sort as numbers; those in partitions are not.
//
//	ORG#<o>       ORG                 the organisation
//	ORG#<o>       USER#<u>            a user; rev counts its writes
//	ORG#<o>       MAIL#<address>      the user of an address
//	ORG#<o>       TEAM#<t>            a team with its members; rev counts its writes
//	ORG#<o>       TEAMNAME#<SHA-256>  the team of a name, in lower case
//	ORG#<o>       TEAMS               the number of teams
//	ORG#<o>#T#<t> CRED#<c>            a credential that a team was granted; package credential's
//	ORG#<o>#U#<u> KEY#<k>             a service key; rev counts its writes
//	ORG#<o>#U#<u> SES#<k>             the sessions of a key; expires with the last
//	ORG#<o>#U#<u> REF#<k>#<hour>      the journal's entry of a failed sign-in in an hour; expires after it
//	SYS           ORG#<o>             the existence of an organisation
//	SYS           NAME#<name>         the last organisation of a name, in lower case

// OrgPartition is the partition of an organisation's own rows.
func OrgPartition(org int64) string { return store.NewKeyText().Int("ORG#", org).String() }

// UserPartition is the partition of what belongs to one user.
func UserPartition(org, user int64) string {
	return store.NewKeyText().Int("ORG#", org).Int("#U#", user).String()
}

// OrgKey is where an organisation lies.
func OrgKey(org int64) store.Key {
	return store.Key{Table: store.Meta, Partition: OrgPartition(org), Sort: "ORG"}
}

// UserKey is where a user lies.
func UserKey(org, user int64) store.Key {
	return store.Key{Table: store.Meta, Partition: OrgPartition(org), Sort: store.NewKeyText().Padded(userPrefix, user).String()}
}

// MailKey is where the user of an address is named. Addresses that differ in
// case alone are one.
func MailKey(org int64, address string) store.Key {
	return store.Key{Table: store.Meta, Partition: OrgPartition(org), Sort: "MAIL#" + strings.ToLower(address)}
}

// ServiceKeyKey is where a user's service key lies.
func ServiceKeyKey(org, user, key int64) store.Key {
	return store.Key{Table: store.Meta, Partition: UserPartition(org, user), Sort: store.NewKeyText().Padded(keyPrefix, key).String()}
}

// SystemKey is the row by which an organisation is found without its id.
func SystemKey(org int64) store.Key {
	return store.Key{Table: store.Meta, Partition: "SYS", Sort: store.NewKeyText().Padded("ORG#", org).String()}
}

const (
	keyPrefix  = "KEY#"
	userPrefix = "USER#"
)

// orgNameKey is the row by which the name of a new organisation is found to be
// used, without regard to case.
func orgNameKey(name string) store.Key {
	return store.Key{Table: store.Meta, Partition: "SYS", Sort: "NAME#" + strings.ToLower(name)}
}

// DecodeOrg reads what lies under OrgKey. An item that is not there, or is not
// an organisation, is an error.
func DecodeOrg(i store.Item) (Org, error) {
	id, ok := store.Numbered(i.Key.Partition, "ORG#")
	if !ok || i.Key.Sort != "ORG" {
		return Org{}, fmt.Errorf("reading an organisation's row: %w", errRow)
	}
	a := i.Attributes
	return Org{
		ID: id, Name: a.Text("name"), EmailDomain: a.Text("domain"), Suspended: a.Bool("suspended"),
		AuditDays: int(a.Int("audit_days")), CreatedAt: a.Time("created"),
	}, nil
}

func encodeOrg(o Org) store.Item {
	a := store.Attributes{"name": o.Name, "rev": int64(1)}
	a.SetText("domain", o.EmailDomain)
	a.SetTime("created", o.CreatedAt)
	return store.Item{Key: OrgKey(o.ID), Attributes: a}
}

// DecodeUser reads what lies under UserKey. An item that is not there, or is
// not a user, is an error.
func DecodeUser(i store.Item) (User, error) {
	org, ok := store.Numbered(i.Key.Partition, "ORG#")
	id, named := store.Numbered(i.Key.Sort, userPrefix)
	if !ok || !named {
		return User{}, fmt.Errorf("reading a user's row: %w", errRow)
	}
	a := i.Attributes
	teams, err := decodeTeams(a.Text("teams"))
	if err != nil {
		return User{}, fmt.Errorf("reading a user's row: %w", err)
	}
	return User{
		ID: id, OrgID: org, Email: a.Text("email"), FullName: a.Text("full_name"),
		Admin: a.Bool("admin"), Active: a.Bool("active"), KeyCount: int(a.Int("keys")), Teams: teams,
		CreatedAt: a.Time("created"), UpdatedAt: a.Time("updated"), Rev: a.Int("rev"),
	}, nil
}

// encodeUser makes the row of a user without teams; inTeams alone writes those.
func encodeUser(u User) store.Item {
	a := store.Attributes{
		"email": u.Email, "full_name": u.FullName, "admin": u.Admin, "active": u.Active,
		"keys": int64(u.KeyCount), "rev": u.Rev,
	}
	a.SetTime("created", u.CreatedAt)
	a.SetTime("updated", u.UpdatedAt)
	return store.Item{Key: UserKey(u.OrgID, u.ID), Attributes: a}
}

// keyRow is a service key as it is stored: with the hash of its secret and the
// revision at which that secret was made. The row of its sessions repeats that
// revision, so that a new secret ends every session of the old one.
type keyRow struct {
	Key
	hash   hash
	madeAt int64
	// held is set while somebody other than the owner keeps the key paused.
	held bool
}

func decodeKey(i store.Item) (keyRow, error) {
	org, rest, ok := store.CutNumber(i.Key.Partition, "ORG#")
	user, owned := store.Numbered(rest, "#U#")
	id, named := store.Numbered(i.Key.Sort, keyPrefix)
	a := i.Attributes
	if !ok || !owned || !named || len(a.Bytes("hash")) != len(hash{}) {
		return keyRow{}, fmt.Errorf("reading a service key's row: %w", errRow)
	}
	lineage, err := decodeLineage(a.Text("lineage"))
	if err != nil {
		return keyRow{}, fmt.Errorf("reading a service key's row: %w", err)
	}
	k := keyRow{
		Key: Key{
			ID: id, OrgID: org, OwnerID: user, MakerID: a.Int("maker"), Lineage: lineage, Name: a.Text("name"), Description: a.Text("description"),
			Paused: a.Bool("paused"), ExpiresAt: a.Time("expires"), RotatedAt: a.Time("rotated"),
			UsedAt: a.Time("used"), CreatedAt: a.Time("created"), UpdatedAt: a.Time("updated"), Rev: a.Int("rev"),
		},
		hash:   hash(a.Bytes("hash")),
		madeAt: a.Int("made"),
		held:   a.Bool("held"),
	}
	for s := range strings.FieldsSeq(a.Text("scopes")) {
		k.Scopes = append(k.Scopes, access.Scope(s))
	}
	return k, nil
}

func encodeKey(k keyRow) store.Item {
	names := make([]string, len(k.Scopes))
	for n, s := range k.Scopes {
		names[n] = string(s)
	}
	a := store.Attributes{
		"name": k.Name, "paused": k.Paused, "scopes": strings.Join(names, " "),
		"hash": k.hash[:], "made": k.madeAt, "rev": k.Rev,
	}
	a.SetText("description", k.Description)
	a.SetText("lineage", encodeLineage(k.Lineage))
	if k.MakerID != 0 {
		a["maker"] = k.MakerID
	}
	if k.held {
		a["held"] = true
	}
	a.SetTime("expires", k.ExpiresAt)
	a.SetTime("rotated", k.RotatedAt)
	a.SetTime("used", k.UsedAt)
	a.SetTime("created", k.CreatedAt)
	a.SetTime("updated", k.UpdatedAt)
	return store.Item{Key: ServiceKeyKey(k.OrgID, k.OwnerID, k.ID), Attributes: a}
}

// encodeLineage writes a lineage as "user:key user:key", the parent first.
func encodeLineage(l Lineage) string {
	var pairs []string
	for _, r := range l.Keys() {
		pairs = append(pairs, fmt.Sprintf("%d:%d", r.User, r.Key))
	}
	return strings.Join(pairs, " ")
}

func decodeLineage(text string) (Lineage, error) {
	var l Lineage
	for n, pair := range strings.Fields(text) {
		user, rest, ok := store.CutNumber(pair, "")
		key, whole := store.Numbered(rest, ":")
		if !ok || !whole || user == 0 || key == 0 || n == len(l) {
			return Lineage{}, errRow
		}
		l[n] = KeyRef{User: user, Key: key}
	}
	return l, nil
}

var errRow = fmt.Errorf("not there, or of another kind")
