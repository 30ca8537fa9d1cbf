package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"credence/shared/audit"
	"credence/shared/identity"
	"credence/shared/store"
	"credence/shared/store/embedded"
)

// compactCommand rewrites the store's file without the space that is not used.
type compactCommand struct {
	output `embed:""`
	where  `embed:""`
}

type compacted struct {
	Before  int64 `json:"bytes_before"`
	After   int64 `json:"bytes_after"`
	Kept    int   `json:"records_kept"`
	Dropped int   `json:"records_dropped"`
}

// Run compacts the store, which no server may have open.
func (c *compactCommand) Run(ctx context.Context, io streams) error {
	if err := usage("compact", c.resolve()...); err != nil {
		return err
	}
	if c.Store != storeEmbedded {
		return errOnlyEmbedded
	}
	if _, err := socketClient(ctx, c.Data); !errors.Is(err, errNoServer) {
		return fmt.Errorf("a server has %s open. Stop it, run credence compact, and start it again", c.Data)
	}
	if _, err := soundFile(filepath.Join(c.Data, embedded.FileName)); err != nil {
		return err
	}
	drop, err := pastRetention(ctx, filepath.Join(c.Data, embedded.FileName), time.Now())
	if err != nil {
		return err
	}
	done, err := embedded.Compact(ctx, c.Data, drop)
	if err != nil {
		return err
	}
	r := compacted{Before: done.Before, After: done.After, Kept: done.Kept, Dropped: done.Dropped}
	if c.JSON {
		return printJSON(io.out, r)
	}
	_, err = fmt.Fprintf(io.out, "%s: %d bytes before, %d after; %d records kept, %d that had expired or are past their retention removed.\n", c.Data, r.Before, r.After, r.Kept, r.Dropped)
	return err
}

// pastRetention returns which items of a store the retention of their organisation
// does not keep: audit entries that are no changes.
func pastRetention(ctx context.Context, path string, now time.Time) (func(store.Item) bool, error) {
	s, err := embedded.OpenReadOnly(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	orgs, err := identity.New(s, audit.Journal{}, time.Now).Orgs(ctx)
	if err != nil {
		return nil, err
	}
	byID := map[int64]identity.Org{}
	for _, o := range orgs {
		byID[o.ID] = o
	}
	return func(i store.Item) bool {
		id, _, _ := store.CutNumber(i.Key.Partition, "ORG#")
		o, known := byID[id]
		return known && audit.Past(i, o, now)
	}, nil
}
