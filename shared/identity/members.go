package identity

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"credence/shared/fault"
	"credence/shared/store"
)

// MembersDraft is a requested change of a team's members.
type MembersDraft struct {
	Change MembersChange
	Named  []MemberDraft // each user at most once
}

// MemberDraft names a user and whether the user is to be an admin of the team.
type MemberDraft struct {
	Ref
	Admin bool
}

// MembersChange is the effect of a MembersDraft.
type MembersChange uint8

// The changes.
const (
	AddMembers     MembersChange = iota + 1 // adds the users, or changes their flag
	ReplaceMembers                          // makes the users the only members
	RemoveMembers                           // removes the users
)

// members applies a draft to a team's members. It adds the writes of the rows of
// all users who join or leave, and a line for each change. Every user whom the
// draft names must exist.
func (s *Service) members(ctx context.Context, t *Team, d MembersDraft, c *teamChange) error {
	refs := make([]Ref, len(d.Named))
	for n, m := range d.Named {
		refs[n] = m.Ref
	}
	rows, err := FindUsers(ctx, s.store, t.OrgID, refs)
	if err != nil {
		return err
	}
	users := map[int64]store.Item{}
	named, faults := make([]Member, 0, len(rows)), []fault.Detail(nil)
	for n, row := range rows {
		user, _ := store.Numbered(row.Key.Sort, userPrefix)
		pointer := fmt.Sprintf("/members/%d", n)
		switch _, twice := users[user]; {
		case !row.Found():
			faults = append(faults, fault.Detail{Pointer: pointer, Code: fault.DetailUnknown, Message: "The organisation has no user with this id or address."})
		case twice:
			faults = append(faults, fault.Detail{Pointer: pointer, Code: fault.DetailDuplicate, Message: "The list names this user twice. Name each user once."})
		default:
			users[user] = row
			named = append(named, Member{User: user, Admin: d.Named[n].Admin})
		}
	}
	if err := fault.Invalid(faults); err != nil {
		return err
	}
	before := t.Members
	t.Members = d.Change.of(before, named)
	return s.moved(ctx, *t, before, users, c)
}

// of returns the members after a change, by user id.
func (change MembersChange) of(before, named []Member) []Member {
	var after []Member
	if change != ReplaceMembers {
		after = slices.DeleteFunc(slices.Clone(before), func(m Member) bool {
			return slices.ContainsFunc(named, func(n Member) bool { return n.User == m.User })
		})
	}
	if change != RemoveMembers {
		after = append(after, named...)
	}
	slices.SortFunc(after, func(x, y Member) int { return cmp.Compare(x.User, y.User) })
	return after
}

// moved compares a team's members with those before and writes the rows of the
// users who joined or left. users has the rows that were read already.
func (s *Service) moved(ctx context.Context, t Team, before []Member, users map[int64]store.Item, c *teamChange) error {
	var joined, left []int64
	for _, m := range t.Members {
		was, in := Team{Members: before}.Member(m.User)
		switch {
		case !in:
			joined = append(joined, m.User)
			c.told = append(c.told, fmt.Sprintf("added user %d%s", m.User, asAdmin(m)))
		case was != m:
			c.told = append(c.told, fmt.Sprintf("changed admin of user %d", m.User))
		}
	}
	for _, m := range before {
		if _, in := t.Member(m.User); !in {
			left = append(left, m.User)
			c.told = append(c.told, fmt.Sprintf("removed user %d", m.User))
		}
	}
	if len(joined) > MaxMemberChanges || len(left) > MaxMemberChanges {
		return fault.New(fault.CodeLimitReached, fmt.Sprintf("One request adds at most %d members and removes at most %d. Send several requests.",
			MaxMemberChanges, MaxMemberChanges)).On(TeamResource, t.ID)
	}
	if len(t.Members) > MaxMembersPerTeam {
		return fault.New(fault.CodeLimitReached, fmt.Sprintf("A team has at most %d members. Make another team.", MaxMembersPerTeam)).On(TeamResource, t.ID)
	}
	if err := s.readUsers(ctx, t.OrgID, left, users); err != nil {
		return err
	}
	for _, user := range joined {
		teams, err := decodeTeams(users[user].Attributes.Text("teams"))
		if err != nil {
			return err
		}
		if len(teams) >= MaxTeamsPerUser {
			return fault.New(fault.CodeLimitReached, fmt.Sprintf("User %d is in %d teams, the most that a user can be in. Remove the user from one of them.",
				user, MaxTeamsPerUser)).On(TeamResource, t.ID)
		}
		teams = append(teams, t.ID)
		slices.Sort(teams)
		c.writes = append(c.writes, inTeams(users[user], teams))
	}
	for _, user := range left {
		teams, err := decodeTeams(users[user].Attributes.Text("teams"))
		if err != nil {
			return err
		}
		c.writes = append(c.writes, inTeams(users[user], slices.DeleteFunc(teams, func(id int64) bool { return id == t.ID })))
	}
	return nil
}

func asAdmin(m Member) string {
	if m.Admin {
		return " as an admin"
	}
	return ""
}

// readUsers adds the rows of users to those that were read already.
func (s *Service) readUsers(ctx context.Context, org int64, wanted []int64, users map[int64]store.Item) error {
	var keys []store.Key
	for _, user := range wanted {
		if !users[user].Found() {
			keys = append(keys, UserKey(org, user))
		}
	}
	rows, err := store.GetAll(ctx, s.store, keys)
	if err != nil {
		return err
	}
	for _, row := range rows {
		user, ok := store.Numbered(row.Key.Sort, userPrefix)
		if !ok {
			return fmt.Errorf("reading a member of a team: %w", errRow)
		}
		users[user] = row
	}
	return nil
}
