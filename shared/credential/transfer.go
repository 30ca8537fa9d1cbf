package credential

import (
	"context"
	"errors"

	"credence/shared/access"
	"credence/shared/audit"
	"credence/shared/identity"
	"credence/shared/store"
)

// TransferOwned gives up to limit, at least one, credentials of a user to another user, each in its own
// commit, and returns how many. Fewer than limit means that none is left. The caller is
// an admin of the organisation. The heir must be active when each change commits.
func (s Service) TransferOwned(ctx context.Context, who identity.Caller, from int64, heir identity.User, limit int) (int, error) {
	owned := store.Under(store.Meta, identity.UserPartition(who.Org.ID, from), rowPrefix)
	owned.KeysOnly, owned.Limit = true, limit
	page, err := s.Store.Range(ctx, owned)
	if err != nil {
		return 0, err
	}
	moved := 0
	for _, row := range page.Items {
		id, ok := rowID(row.Key.Sort)
		if !ok {
			return moved, errors.New("transferring what a user owns: a key is malformed")
		}
		if err := s.transferOne(ctx, who, id, from, heir); err != nil {
			return moved, err
		}
		moved++
	}
	return moved, nil
}

func (s Service) transferOne(ctx context.Context, who identity.Caller, id, from int64, heir identity.User) error {
	var l ForChange
	l.Of(id)
	if err := s.reload(ctx, who, &l); err != nil {
		return err
	}
	return s.changing(ctx, who, &l, func() error {
		if l.err == nil && (!l.found || l.c.Owner != from) {
			return nil // deleted or transferred meanwhile
		}
		c, _, err := s.open(ctx, who, &l.ForRead, access.Read)
		if err == nil {
			err = s.permit(ctx, who, c, access.Transfer)
		}
		if err != nil {
			return err
		}
		ch := change{who: who, before: c, after: c, head: l.head, event: audit.Updated}
		ch.transfer(heir)
		ch.compare()
		ch.touch(s.now())
		return s.commit(ctx, &ch)
	})
}
