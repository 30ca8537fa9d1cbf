package identity

import (
	"context"
	"fmt"
	"slices"

	"credence/shared/store"
)

func (i *inspection) team(item store.Item) {
	t, err := DecodeTeam(item)
	if err != nil {
		i.found(item.Key, "The row of a team does not decode.", RemedyRestore)
		return
	}
	name := TeamNameKey(i.org, t.Name)
	if i.names[name] != t.ID {
		i.found(item.Key, "The name of this team does not lead to the team.", RemedyRestore)
	} else {
		delete(i.names, name)
	}
	i.teams = append(i.teams, t)
}

// memberships compares the teams with the users and with their number.
func (i *inspection) memberships(ctx context.Context) error {
	users, teams := map[int64]User{}, map[int64]Team{}
	for _, u := range i.users {
		users[u.ID] = u
	}
	for _, t := range i.teams {
		teams[t.ID] = t
		for _, m := range t.Members {
			if !slices.Contains(users[m.User].Teams, t.ID) {
				i.found(TeamKey(i.org, t.ID), fmt.Sprintf("The team has the member %d, whose row does not name the team.", m.User), RemedyRestore)
			}
		}
	}
	for _, u := range i.users {
		for _, team := range u.Teams {
			if _, in := teams[team].Member(u.ID); !in {
				i.found(UserKey(i.org, u.ID), fmt.Sprintf("The user is in team %d, which does not have the user as a member.", team), RemedyRestore)
			}
		}
	}
	for name, team := range i.names {
		i.found(name, fmt.Sprintf("A name leads to team %d, which does not have it.", team), RemedyRestore)
	}
	items, err := i.store.Get(ctx, teamsKey(i.org))
	if err != nil {
		return err
	}
	if n := items[0].Attributes.Int("count"); n != int64(len(i.teams)) {
		i.found(teamsKey(i.org), fmt.Sprintf("The organisation has %d teams, and the row counts %d.", len(i.teams), n), RemedyRestore)
	}
	return nil
}
