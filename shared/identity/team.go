package identity

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"credence/shared/store"
)

// Bounds of teams. Those of a row keep it far below the limit of an item.
const (
	MaxTeamsPerOrg    = 500
	MaxTeamsPerUser   = 50
	MaxMembersPerTeam = 500
	// MaxMemberChanges is the number of members that one request adds to a team,
	// and the number that it removes: each writes a user's row, all in one commit.
	MaxMemberChanges = 45
)

// Team is a group of users of one organisation, to which credentials can be
// granted as to one user.
type Team struct {
	ID          int64
	OrgID       int64
	Name        string // unique in the organisation, without regard to case
	Description string
	OwnerID     int64    // may change the team; not necessarily a member
	Members     []Member // by user id
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Rev         int64 // of the stored row: the precondition of its next write
}

// Member is a user in a team.
type Member struct {
	User  int64
	Admin bool // may change the team and its members
}

// Member returns the membership of a user. It reports false for a user who is
// not in the team.
func (t Team) Member(user int64) (Member, bool) {
	n, found := slices.BinarySearchFunc(t.Members, user, func(m Member, user int64) int { return cmp.Compare(m.User, user) })
	if !found {
		return Member{}, false
	}
	return t.Members[n], true
}

const teamPrefix = "TEAM#"

// TeamKey is the key of a team's row.
func TeamKey(org, team int64) store.Key {
	return store.Key{Table: store.Meta, Partition: OrgPartition(org), Sort: store.NewKeyText().Padded(teamPrefix, team).String()}
}

// TeamPartition is the partition of the credentials that a team was granted.
func TeamPartition(org, team int64) string {
	return store.NewKeyText().Int("ORG#", org).Int("#T#", team).String()
}

// TeamNameKey is the key of the row that leads from a name to its team. Names
// that differ in case alone are one. The sort key has the hash of the name, which
// is of one length and ASCII whatever the name is.
func TeamNameKey(org int64, name string) store.Key {
	sum := sha256.Sum256([]byte(strings.ToLower(name)))
	return store.Key{Table: store.Meta, Partition: OrgPartition(org), Sort: teamNamePrefix + hex.EncodeToString(sum[:])}
}

const teamNamePrefix = "TEAMNAME#"

// teamsKey is the key of the row that counts the teams of an organisation.
func teamsKey(org int64) store.Key {
	return store.Key{Table: store.Meta, Partition: OrgPartition(org), Sort: "TEAMS"}
}

// DecodeTeam reads the row at TeamKey. An item that is not there, or is not a
// team, is an error.
func DecodeTeam(i store.Item) (Team, error) {
	org, ok := store.Numbered(i.Key.Partition, "ORG#")
	id, named := store.Numbered(i.Key.Sort, teamPrefix)
	a := i.Attributes
	members, whole := decodeMembers(a.Bytes("members"))
	if !ok || !named || !whole {
		return Team{}, fmt.Errorf("reading a team's row: %w", errRow)
	}
	return Team{
		ID: id, OrgID: org, Name: a.Text("name"), Description: a.Text("description"), OwnerID: a.Int("owner"),
		Members:   members,
		CreatedAt: a.Time("created"), UpdatedAt: a.Time("updated"), Rev: a.Int("rev"),
	}, nil
}

func encodeTeam(t Team) store.Item {
	a := store.Attributes{
		"name": t.Name, "owner": t.OwnerID, "members": encodeMembers(t.Members), "rev": t.Rev,
	}
	a.SetText("description", t.Description)
	a.SetTime("created", t.CreatedAt)
	a.SetTime("updated", t.UpdatedAt)
	return store.Item{Key: TeamKey(t.OrgID, t.ID), Attributes: a}
}

// The members of a team, by user id:
//
//	n × (user id, big-endian [8] | 1 for an admin of the team, else 0 [1])
const memberBytes = 9

func encodeMembers(members []Member) []byte {
	b := make([]byte, 0, len(members)*memberBytes)
	for _, m := range members {
		b = binary.BigEndian.AppendUint64(b, uint64(m.User))
		flag := byte(0)
		if m.Admin {
			flag = 1
		}
		b = append(b, flag)
	}
	return b
}

func decodeMembers(b []byte) ([]Member, bool) {
	if len(b)%memberBytes != 0 {
		return nil, false
	}
	members := make([]Member, 0, len(b)/memberBytes)
	for one := range slices.Chunk(b, memberBytes) {
		m := Member{User: int64(binary.BigEndian.Uint64(one)), Admin: one[8] == 1}
		if len(members) > 0 && members[len(members)-1].User >= m.User {
			return nil, false
		}
		members = append(members, m)
	}
	return members, true
}

// decodeTeams reads the ids of the teams of a user, in ascending order, from the
// attribute "teams" of the user's row.
func decodeTeams(text string) ([]int64, error) {
	if text == "" {
		return nil, nil
	}
	teams := make([]int64, 0, strings.Count(text, " ")+1)
	for one := range strings.SplitSeq(text, " ") {
		id, err := strconv.ParseInt(one, 10, 64)
		if err != nil {
			return nil, errRow
		}
		teams = append(teams, id)
	}
	return teams, nil
}

// inTeams makes the write of a user's row with other teams. The rest of the row
// stays.
func inTeams(user store.Item, teams []int64) store.Write {
	texts := make([]string, len(teams))
	for n, id := range teams {
		texts[n] = strconv.FormatInt(id, 10)
	}
	a := user.Attributes
	rev := a.Int("rev")
	delete(a, "teams")
	a.SetText("teams", strings.Join(texts, " "))
	a["rev"] = rev + 1
	return store.Write{Verb: store.Put, Item: user, If: store.Equal("rev", rev)}
}
