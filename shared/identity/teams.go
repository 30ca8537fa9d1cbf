package identity

import (
	"context"
	"fmt"

	"credence/shared/access"
	"credence/shared/fault"
	"credence/shared/id"
	"credence/shared/store"
)

// TeamResource is the name of a team in errors.
const TeamResource = "Team"

// TeamDraft is a requested team, or a requested change of one. A nil field stays
// as it is, or is empty in a new team.
type TeamDraft struct {
	Name        *string
	Description *string
	Members     *MembersDraft
	Idem        Idempotency // CreateTeam only
}

// TeamRole returns the caller's role on a team: owner, admin as an admin of the
// team or of the organisation, collaborator as a member, none for everybody else.
func (c Caller) TeamRole(t Team) access.Role {
	member, in := t.Member(c.User.ID)
	switch {
	case c.operator, t.OwnerID == c.User.ID:
		return access.Owner
	case c.User.Admin, member.Admin:
		return access.Admin
	case in:
		return access.Collaborator
	}
	return access.None
}

// Teams lists the teams of the caller's organisation in which the caller has a
// role, oldest first.
func (s *Service) Teams(ctx context.Context, who Caller) ([]Team, error) {
	page, err := s.store.Range(ctx, store.Under(store.Meta, OrgPartition(who.Org.ID), teamPrefix))
	if err != nil {
		return nil, fmt.Errorf("listing teams: %w", err)
	}
	var teams []Team
	for _, item := range page.Items {
		t, err := DecodeTeam(item)
		if err != nil {
			return nil, fmt.Errorf("listing teams: %w", err)
		}
		if who.TeamRole(t) != access.None {
			teams = append(teams, t)
		}
	}
	return teams, nil
}

// GetTeam reads one team in which the caller has a role. The fault for another
// one is CodeNotFound.
func (s *Service) GetTeam(ctx context.Context, who Caller, team int64) (Team, error) {
	t, _, err := s.team(ctx, who, team)
	if err != nil {
		return Team{}, fmt.Errorf("getting a team: %w", err)
	}
	return t, nil
}

// Named reads the owners and members of teams of the caller's organisation.
func (s *Service) Named(ctx context.Context, who Caller, teams ...Team) (map[int64]User, error) {
	named := map[int64]User{}
	var keys []store.Key
	add := func(user int64) {
		if _, there := named[user]; !there {
			named[user] = User{ID: user, OrgID: who.Org.ID}
			keys = append(keys, UserKey(who.Org.ID, user))
		}
	}
	for _, t := range teams {
		add(t.OwnerID)
		for _, m := range t.Members {
			add(m.User)
		}
	}
	rows, err := store.GetAll(ctx, s.store, keys)
	if err != nil {
		return nil, fmt.Errorf("reading the members of teams: %w", err)
	}
	for _, row := range rows {
		u, err := DecodeUser(row)
		if err != nil {
			return nil, fmt.Errorf("reading the members of teams: %w", err)
		}
		named[u.ID] = u
	}
	return named, nil
}

// team reads a team and its row.
func (s *Service) team(ctx context.Context, who Caller, team int64) (Team, store.Item, error) {
	items, err := s.store.Get(ctx, TeamKey(who.Org.ID, team))
	if err != nil {
		return Team{}, store.Item{}, err
	}
	var t Team
	if items[0].Found() {
		if t, err = DecodeTeam(items[0]); err != nil {
			return Team{}, store.Item{}, err
		}
	}
	if t.ID == 0 || who.TeamRole(t) == access.None {
		return Team{}, store.Item{}, fault.New(fault.CodeNotFound, "There is no such team.").On(TeamResource, team)
	}
	return t, items[0], nil
}

// CreateTeam makes a team that the caller owns. Any user of the organisation may.
// Calling it again makes another team, which needs another name, unless the draft
// has the same idempotency key: then it returns the team made first.
func (s *Service) CreateTeam(ctx context.Context, who Caller, d TeamDraft) (Team, error) {
	var t Team
	err := s.retry(ctx, func() error {
		if made, found, err := d.Idem.Used(ctx, s.store, who); err != nil || found {
			if err == nil {
				t, _, err = s.team(ctx, who, made.Int("team"))
			}
			return err
		}
		now := s.clock()
		t = Team{ID: id.New(now), OrgID: who.Org.ID, OwnerID: who.User.ID, CreatedAt: now, UpdatedAt: now, Rev: 1}
		change, err := s.drawn(ctx, &t, d)
		if err != nil {
			return err
		}
		counted, err := s.countTeams(ctx, who.Org.ID, 1)
		if err != nil {
			return err
		}
		change.writes = append(change.writes, store.Write{Verb: store.Put, Item: encodeTeam(t), If: store.Absent()}, counted)
		change.writes = append(change.writes, d.Idem.Writes(who, now, store.Attributes{"team": t.ID})...)
		return s.commitTeam(ctx, who, t, EventTeamCreated, change)
	})
	if err != nil {
		return Team{}, fmt.Errorf("making a team: %w", err)
	}
	return t, nil
}

// UpdateTeam changes the fields that the draft names. It requires the owner, an
// admin of the team or an admin of the organisation. A change of members is
// effective on their next request. Where nothing changes, nothing is written.
func (s *Service) UpdateTeam(ctx context.Context, who Caller, team int64, d TeamDraft) (Team, error) {
	var t Team
	err := s.retry(ctx, func() error {
		var row store.Item
		var err error
		if t, row, err = s.changeable(ctx, who, team); err != nil {
			return err
		}
		before := t
		change, err := s.drawn(ctx, &t, d)
		if err != nil {
			return err
		}
		event, fields := EventTeamMembersChanged, changedFields(before, t)
		if len(fields) > 0 {
			event = EventTeamUpdated
		} else if len(change.told) == 0 {
			return nil
		}
		change.told = append(fields, change.told...)
		t.UpdatedAt = s.clock()
		change.writes = append(change.writes, rewrittenTeam(row, t))
		t.Rev++
		return s.commitTeam(ctx, who, t, event, change)
	})
	if err != nil {
		return Team{}, fmt.Errorf("changing a team: %w", err)
	}
	return t, nil
}

// changeable is team for a caller who may change it.
func (s *Service) changeable(ctx context.Context, who Caller, team int64) (Team, store.Item, error) {
	t, row, err := s.team(ctx, who, team)
	if err == nil && who.TeamRole(t) < access.Admin {
		err = fault.New(fault.CodeForbidden, "Only the owner of a team, an admin of it or an admin of the organisation changes it. Ask one of them.").On(TeamResource, team)
	}
	return t, row, err
}

// rewrittenTeam makes the write of a changed team. Attributes of the row that this
// package does not know stay as they are.
func rewrittenTeam(row store.Item, t Team) store.Write {
	delete(row.Attributes, "description")
	for name, v := range encodeTeam(t).Attributes {
		row.Attributes[name] = v
	}
	row.Attributes["rev"] = t.Rev + 1
	return store.Write{Verb: store.Put, Item: row, If: store.Equal("rev", t.Rev)}
}

// changedFields returns a line for each field, the members not included, in which
// a team differs from what it was.
func changedFields(before, after Team) []string {
	var lines []string
	if before.Name != after.Name {
		lines = append(lines, "changed name")
	}
	if before.Description != after.Description {
		lines = append(lines, "changed description")
	}
	return lines
}

// teamChange is a change of a team under construction.
type teamChange struct {
	writes []store.Write // of all rows but the team's
	told   []string      // a line for each change of a member, for the audit
}

// drawn puts a draft's fields into a team.
func (s *Service) drawn(ctx context.Context, t *Team, d TeamDraft) (teamChange, error) {
	var c teamChange
	if d.Name != nil {
		if err := s.rename(ctx, *t, *d.Name, &c); err != nil {
			return c, err
		}
		t.Name = *d.Name
	}
	if d.Description != nil {
		t.Description = *d.Description
	}
	if d.Members == nil {
		return c, nil
	}
	return c, s.members(ctx, t, *d.Members, &c)
}

// rename adds the writes that make a name lead to a team. A name that differs from
// the former one in case alone needs none.
func (s *Service) rename(ctx context.Context, t Team, name string, c *teamChange) error {
	before, after := TeamNameKey(t.OrgID, t.Name), TeamNameKey(t.OrgID, name)
	if before == after {
		return nil
	}
	items, err := s.store.Get(ctx, after)
	if err != nil {
		return err
	}
	if items[0].Found() {
		return invalid("/name", fault.DetailDuplicate, "Another team of the organisation has this name. Choose another name.")
	}
	c.writes = append(c.writes, store.Write{Verb: store.Put, Item: store.Item{Key: after, Attributes: store.Attributes{"team": t.ID}}, If: store.Absent()})
	if t.Name != "" {
		c.writes = append(c.writes, store.Write{Verb: store.Delete, Item: store.Item{Key: before}, If: store.Equal("team", t.ID)})
	}
	return nil
}

// commitTeam commits a change with its entry in the journal.
func (s *Service) commitTeam(ctx context.Context, who Caller, t Team, event string, c teamChange) error {
	note, err := s.journal.Write(Occurrence{
		Org: t.OrgID, User: t.OwnerID, Team: t.ID, TeamName: t.Name, Details: c.told, Event: event, By: who, At: s.clock(),
	})
	if err != nil {
		return err
	}
	return s.store.Commit(ctx, append(c.writes, note)...)
}

// countTeams makes the write of another number of teams of an organisation.
func (s *Service) countTeams(ctx context.Context, org, by int64) (store.Write, error) {
	items, err := s.store.Get(ctx, teamsKey(org))
	if err != nil {
		return store.Write{}, err
	}
	n := items[0].Attributes.Int("count") + by
	if by > 0 && n > MaxTeamsPerOrg {
		return store.Write{}, fault.New(fault.CodeLimitReached, fmt.Sprintf("An organisation has at most %d teams. Delete one that is not used.", MaxTeamsPerOrg))
	}
	w := store.Write{Verb: store.Put, Item: store.Item{Key: teamsKey(org), Attributes: store.Attributes{"count": n}}, If: store.Absent()}
	if items[0].Found() {
		w.If = store.Equal("count", n-by)
	}
	return w, nil
}
