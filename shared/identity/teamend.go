package identity

import (
	"context"
	"fmt"

	"credence/shared/fault"
	"credence/shared/store"
)

// Grants is the part of the credential domain that knows and ends what a team was
// granted. A grant that is made while its team is deleted stays behind without effect:
// a team counts through the rows of its members.
type Grants interface {
	// TeamGrants returns the number of credentials that a team was granted, limit at most.
	TeamGrants(ctx context.Context, org, team int64, limit int) (int, error)
	// EndTeamGrants ends some of the grants of a team. It may be called again at will.
	EndTeamGrants(ctx context.Context, who Caller, team int64) error
}

// maxCounted is how far the grants of a team are counted for a message.
const maxCounted = 100

// endingSteps bounds the batches of one call that ends a team.
const endingSteps = 200

// EmptyTeam removes every member of a team, in batches that can be resumed: if it
// fails, some are removed, and a repetition removes the rest.
func (s *Service) EmptyTeam(ctx context.Context, who Caller, team int64) (Team, error) {
	for {
		t, _, err := s.changeable(ctx, who, team)
		if err == nil && len(t.Members) > 0 {
			t, err = s.UpdateTeam(ctx, who, team, TeamDraft{Members: firstMembers(t)})
		}
		if err != nil || len(t.Members) == 0 {
			return t, err
		}
	}
}

// firstMembers removes as many members as one commit can.
func firstMembers(t Team) *MembersDraft {
	d := MembersDraft{Change: RemoveMembers}
	for _, m := range t.Members[:min(len(t.Members), MaxMemberChanges)] {
		d.Named = append(d.Named, MemberDraft{Ref: Ref{ID: m.User}})
	}
	return &d
}

// DeleteTeam ends a team. A team that was granted credentials is CodeInUse unless
// force is set: then its grants end first. Grants and members beyond those of one
// commit end in batches, the team's own row last, so a repetition completes a
// deletion that was cut short.
func (s *Service) DeleteTeam(ctx context.Context, who Caller, team int64, force bool, g Grants) error {
	for range endingSteps {
		ended, err := s.endStep(ctx, who, team, force, g)
		if err != nil {
			return fmt.Errorf("deleting a team: %w", err)
		}
		if ended {
			return nil
		}
	}
	return fault.New(fault.CodeConflict, "The deletion of the team is not complete. Repeat the request to continue it.").On(TeamResource, team)
}

// endStep ends some grants or members of a team, or the rest of the team. It
// reports whether the team is gone.
func (s *Service) endStep(ctx context.Context, who Caller, team int64, force bool, g Grants) (ended bool, err error) {
	err = s.retry(ctx, func() error {
		t, row, err := s.changeable(ctx, who, team)
		if err != nil {
			return err
		}
		grants, err := g.TeamGrants(ctx, t.OrgID, team, maxCounted)
		switch {
		case err != nil:
			return err
		case grants > 0 && !force:
			return fault.New(fault.CodeInUse, fmt.Sprintf(
				"The team holds a role on %d credentials or more. Remove it from them, or repeat the request with force=1, which does.", grants)).On(TeamResource, team)
		case grants > 0:
			return g.EndTeamGrants(ctx, who, team)
		case len(t.Members) > MaxMemberChanges:
			_, err = s.UpdateTeam(ctx, who, team, TeamDraft{Members: firstMembers(t)})
			return err
		}
		err = s.endTeam(ctx, who, t, row)
		ended = err == nil
		return err
	})
	return ended, err
}

// endTeam deletes a team without grants and with few members, whose row must not
// have changed since it was read.
func (s *Service) endTeam(ctx context.Context, who Caller, t Team, row store.Item) error {
	var c teamChange
	before := t.Members
	t.Members = nil
	if err := s.moved(ctx, t, before, map[int64]store.Item{}, &c); err != nil {
		return err
	}
	counted, err := s.countTeams(ctx, t.OrgID, -1)
	if err != nil {
		return err
	}
	c.writes = append(c.writes, counted,
		store.Write{Verb: store.Delete, Item: store.Item{Key: TeamNameKey(t.OrgID, t.Name)}, If: store.Equal("team", t.ID)},
		store.Write{Verb: store.Delete, Item: store.Item{Key: row.Key}, If: store.Equal("rev", t.Rev)})
	return s.commitTeam(ctx, who, t, EventTeamDeleted, c)
}
