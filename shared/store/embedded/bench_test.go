package embedded

import (
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	bolt "go.etcd.io/bbolt"

	"credence/shared/store"
)

var clients = []int{1, 16, 32}

// creation is the commit of a new credential as the service makes it: nine
// items of about 3 KB together.
func creation(id int64, sealed []byte) []store.Write {
	item := func(table store.Table, partition, sort string, payload int) store.Write {
		return store.Write{Verb: store.Put, If: store.Absent(), Item: store.Item{
			Key:        store.Key{Table: table, Partition: partition, Sort: sort},
			Attributes: store.Attributes{"id": id, "rev": int64(1), "payload": sealed[:payload]},
		}}
	}
	cred := fmt.Sprintf("CRED#%016d", id)
	own := fmt.Sprintf("ORG#1#C#%d", id)
	head := item(store.Audit, own, "HEAD", 40)
	return []store.Write{
		item(store.Meta, "ORG#1", cred, 700),
		item(store.Meta, "ORG#1#IDX", cred, 60),
		item(store.Meta, "ORG#1#U#7", cred, 40),
		item(store.Meta, fmt.Sprintf("DUE#%04d", id%1440), own, 10),
		item(store.Meta, own, "VER#0000000000000001", 400),
		item(store.Vault, "ORG#1", fmt.Sprintf("SEC#%d#1", id), 900),
		item(store.Audit, own, fmt.Sprintf("E#%016d", id), 300),
		head,
		item(store.Meta, "ORG#1#IDEM#7", fmt.Sprintf("%064d", id), 120),
	}
}

// share divides b.N calls among so many goroutines.
func share(b *testing.B, n int, do func() error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func lastTransaction(b *testing.B, s *Store) (id int) {
	b.Helper()
	if err := s.db.View(func(tx *bolt.Tx) error { id = tx.ID(); return nil }); err != nil {
		b.Fatal(err)
	}
	return id
}

// BenchmarkCreate commits new credentials. Each transaction of the engine costs
// two syncs, which strace -c -f -e trace=fsync,fdatasync counts.
func BenchmarkCreate(b *testing.B) {
	sealed := make([]byte, 1024)
	_, _ = rand.Read(sealed)
	for _, n := range clients {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			s := mustOpen(b, b.TempDir())
			var id atomic.Int64
			id.Store(1 << 40)
			before := lastTransaction(b, s)
			share(b, n, func() error {
				return s.Commit(b.Context(), creation(id.Add(1), sealed)...)
			})
			b.ReportMetric(2*float64(lastTransaction(b, s)-before)/float64(b.N), "syncs/op")
		})
	}
}

// BenchmarkGet reads the three items that sign a caller in, out of 2,000
// credentials.
func BenchmarkGet(b *testing.B) {
	const stored = 2000
	s := mustOpen(b, b.TempDir())
	sealed := make([]byte, 1024)
	var made atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for id := made.Add(1); id <= stored; id = made.Add(1) {
				if err := s.Commit(b.Context(), creation(id, sealed)...); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, n := range clients {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			var next atomic.Int64
			share(b, n, func() error {
				id := 1 + next.Add(1)*7%stored
				cred := fmt.Sprintf("CRED#%016d", id)
				items, err := s.Get(b.Context(),
					store.Key{Table: store.Meta, Partition: "ORG#1", Sort: cred},
					store.Key{Table: store.Meta, Partition: "ORG#1#U#7", Sort: cred},
					store.Key{Table: store.Meta, Partition: "ORG#1#IDX", Sort: cred})
				if err == nil && !items[2].Found() {
					err = fmt.Errorf("credential %d is missing", id)
				}
				return err
			})
		})
	}
}
