package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"credence/shared/store"
)

// killVariable makes this binary the child of the kill tests: "whole" or
// "torn", a blank, and the store's directory.
const killVariable = "EMBEDDED_KILL_CHILD"

const (
	killRounds  = 8
	killWriters = 16
	killItems   = 6 // items of one commit
)

// TestKillChild commits without end and says which commits were acknowledged,
// until it is killed. It does nothing by itself.
func TestKillChild(t *testing.T) {
	mode, dir, ok := strings.Cut(os.Getenv(killVariable), " ")
	if !ok {
		t.Skip("is run by the kill tests")
	}
	s := mustOpen(t, dir)
	commit := s.Commit
	if mode == "torn" { // the fault that the test must be able to see
		commit = func(ctx context.Context, writes ...store.Write) error {
			var err error
			for _, w := range writes {
				err = errors.Join(err, s.Commit(ctx, w))
			}
			return err
		}
	}
	var mu sync.Mutex // one line at a time
	var wg sync.WaitGroup
	for w := range killWriters {
		wg.Go(func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, n)
				if err := commit(t.Context(), group(id)...); err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				mu.Lock()
				_, err := fmt.Printf("done %s\n", id)
				mu.Unlock()
				if err != nil {
					return // the parent is gone
				}
			}
		})
	}
	wg.Wait()
}

// group is one commit: items in every table, some of them bulky, so that pages
// split.
func group(id string) []store.Write {
	tables := []store.Table{store.Meta, store.Vault, store.Audit}
	var writes []store.Write
	for i := range killItems {
		writes = append(writes, store.Write{Verb: store.Put, If: store.Absent(), Item: store.Item{
			Key:        store.Key{Table: tables[i%len(tables)], Partition: "G", Sort: fmt.Sprintf("%s/%d", id, i)},
			Attributes: store.Attributes{"id": id, "b": make([]byte, 200*i)},
		}})
	}
	return writes
}

// killed runs a child, kills it at a random moment after its first
// acknowledgement, and returns what it acknowledged.
func killed(t *testing.T, mode, dir string) []string {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillChild$")
	child.Env = append(os.Environ(), killVariable+"="+mode+" "+dir)
	pipe, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	lines := bufio.NewReader(pipe)
	for {
		line, err := lines.ReadString('\n')
		if id, ok := strings.CutPrefix(line, "done "); ok && strings.HasSuffix(id, "\n") {
			if acknowledged = append(acknowledged, strings.TrimSuffix(id, "\n")); len(acknowledged) == 1 {
				time.AfterFunc(time.Duration(5_000+rand.IntN(60_000))*time.Microsecond, func() { _ = child.Process.Kill() })
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return acknowledged
}

// census counts the items of each commit that is in the store.
func census(t *testing.T, s *Store) map[string]int {
	t.Helper()
	count := map[string]int{}
	for _, table := range []store.Table{store.Meta, store.Vault, store.Audit} {
		p, err := s.Range(t.Context(), store.Range{Table: table, Partition: "G"})
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range p.Items {
			count[it.Attributes.Text("id")]++
		}
	}
	return count
}

// survey kills a child some times over one store and returns how many commits
// were acknowledged, how many of those are missing, and how many are torn.
func survey(t *testing.T, mode string) (total, lost, torn int) {
	t.Helper()
	dir := t.TempDir()
	known := map[string]bool{}
	for range killRounds {
		for _, id := range killed(t, mode, dir) {
			known[id] = true
		}
		s := mustOpen(t, dir)
		count := census(t, s)
		for id := range known {
			if count[id] == 0 {
				lost++
			}
		}
		for _, n := range count {
			if n != killItems {
				torn++
			}
		}
		mustCommit(t, s, store.Write{Verb: store.Put, If: store.Always(), Item: store.Item{Key: key("round")}})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return len(known), lost, torn
}

func TestKillLosesAndTearsNothing(t *testing.T) {
	total, lost, torn := survey(t, "whole")
	t.Logf("%d rounds, %d commits acknowledged", killRounds, total)
	if total < killRounds || lost != 0 || torn != 0 {
		t.Errorf("of %d acknowledged commits %d are lost; %d are torn", total, lost, torn)
	}
}

// TestKillSeesTornCommits proves that the survey can fail: a child whose
// commits are not atomic leaves torn ones. What a loss of power would lose,
// SIGKILL cannot show, since the kernel keeps what was written.
func TestKillSeesTornCommits(t *testing.T) {
	if total, _, torn := survey(t, "torn"); torn == 0 {
		t.Errorf("%d commits item by item, %d kills, and none is torn", total, killRounds)
	}
}
