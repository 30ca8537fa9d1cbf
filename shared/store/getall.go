package store

import (
	"context"
	"slices"
	"sync"
)

// readers bounds how many reads of one GetAll are under way at once.
const readers = 8

// GetAll is Get for any number of keys, in as many calls as that takes, some of
// them at once. Any error is that of all.
func GetAll(ctx context.Context, s Store, keys []Key) ([]Item, error) {
	switch {
	case len(keys) == 0:
		return nil, nil
	case len(keys) <= MaxKeysPerGet:
		return s.Get(ctx, keys...)
	}
	items := make([]Item, len(keys))
	errs := make([]error, (len(keys)+MaxKeysPerGet-1)/MaxKeysPerGet)
	slots := make(chan struct{}, readers)
	var wg sync.WaitGroup
	for n, chunk := range slices.Collect(slices.Chunk(keys, MaxKeysPerGet)) {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			got, err := s.Get(ctx, chunk...)
			copy(items[n*MaxKeysPerGet:], got)
			errs[n] = err
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return items, nil
}
