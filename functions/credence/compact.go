package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

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
	done, err := embedded.Compact(ctx, c.Data, nil)
	if err != nil {
		return err
	}
	r := compacted{Before: done.Before, After: done.After, Kept: done.Kept, Dropped: done.Dropped}
	if c.JSON {
		return printJSON(io.out, r)
	}
	_, err = fmt.Fprintf(io.out, "%s: %d bytes before, %d after; %d records kept, %d that had expired removed.\n", c.Data, r.Before, r.After, r.Kept, r.Dropped)
	return err
}
