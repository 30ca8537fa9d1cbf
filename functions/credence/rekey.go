package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/credential"
	"credence/shared/envelope/localkms"
	"credence/shared/store"
)

// rekeyCommand moves the data keys of a store under another key file, while the
// server runs or not.
type rekeyCommand struct {
	NewKey string `placeholder:"FILE" help:"The new key file; made if there is none. Leave it out to go on with a move that was cut off."`
	output `embed:""`
	where  `embed:""`
}

// rekeyed is the result of a move.
type rekeyed struct {
	KeyID    string `json:"key_id"`
	Previous string `json:"previous_key_id"`
	Moved    int    `json:"moved"`
	Already  int    `json:"already"`
}

type rekeyReply struct {
	Error string  `json:"error"`
	Done  rekeyed `json:"done"`
}

// Run moves the store, or goes on with a move that was cut off.
func (c *rekeyCommand) Run(ctx context.Context, io streams) error {
	if err := usage("rekey", c.resolve()...); err != nil {
		return err
	}
	if c.NewKey != "" {
		path, err := filepath.Abs(c.NewKey)
		if err != nil {
			return err
		}
		c.NewKey = path
	}
	done, err := c.overSocket(ctx)
	if errors.Is(err, errNoServer) {
		done, err = c.onData(ctx)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, done)
	}
	_, err = fmt.Fprintf(io.out, "The store is under the key %s: %d data keys moved, %d were under it already.\n"+
		"The key file before it is kept as %s: backups made until now need it. Make a backup, and keep a copy of the new key file.\n",
		done.KeyID, done.Moved, done.Already, oldKeyFile(c.Data, done.Previous))
	return err
}

func (c *rekeyCommand) onData(ctx context.Context) (rekeyed, error) {
	if _, err := os.Stat(c.Data); err != nil {
		return rekeyed{}, fmt.Errorf("there is no data in %s. Name another folder with --data", c.Data)
	}
	d, err := openData(ctx, c.where, false)
	if err != nil {
		return rekeyed{}, err
	}
	defer func() { _ = d.Close() }()
	return d.rekey(ctx, c.NewKey)
}

func (c *rekeyCommand) overSocket(ctx context.Context) (rekeyed, error) {
	client, err := socketClient(ctx, c.Data)
	if err != nil {
		return rekeyed{}, err
	}
	body, err := json.Marshal(map[string]string{"new_key": c.NewKey})
	if err != nil {
		return rekeyed{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/rekey", bytes.NewReader(body))
	if err != nil {
		return rekeyed{}, fmt.Errorf("asking the server: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return rekeyed{}, fmt.Errorf("asking the server: %w. Repeat the command: it goes on where it was cut off", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return rekeyed{}, replyError(res)
	}
	var reply rekeyReply
	if err := json.UnmarshalRead(io.LimitReader(res.Body, 64<<10), &reply); err != nil {
		return rekeyed{}, fmt.Errorf("reading the server's answer: %w", err)
	}
	if reply.Error != "" {
		return rekeyed{}, errors.New(reply.Error)
	}
	return reply.Done, nil
}

// answerRekey moves the open store. It ends early if its client goes away.
func (p *program) answerRekey(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		NewKey string `json:"new_key"`
	}
	var reply rekeyReply
	err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, 64<<10), &asked)
	if err == nil {
		reply.Done, err = p.data.rekey(r.Context(), asked.NewKey)
	}
	if err != nil {
		reply.Error = explain(err)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.MarshalWrite(w, reply) // the only error is that of the connection
}

func oldKeyFile(dir, id string) string { return filepath.Join(dir, "key.old."+id) }

// rekey moves the store under the key of another file, in steps after each of
// which every secret can be opened, by this process and by one that is started
// then:
//
//  1. the new key file is copied into the data folder as key.next
//  2. the store records both keys, and new secrets are sealed under the new one
//  3. the data keys are moved
//  4. key becomes key.old.<id>, and key.next becomes key
//  5. the store records the new key alone
//
// It may be called again after it failed or was cut off, with the same file or
// none, and goes on.
func (d *data) rekey(ctx context.Context, path string) (rekeyed, error) {
	if !d.moving.TryLock() {
		return rekeyed{}, errors.New("the store is being moved to another key already. Wait for that to end")
	}
	defer d.moving.Unlock()
	if err := d.takeNext(path); err != nil {
		return rekeyed{}, err
	}
	done := rekeyed{}
	for n, step := range []func(context.Context, *rekeyed) error{d.recordBoth, d.move, d.swapFiles, d.recordNew} {
		if d.stepped != nil {
			if err := d.stepped(n); err != nil {
				return done, err
			}
		}
		if err := step(ctx, &done); err != nil {
			return done, err
		}
	}
	return done, nil
}

// takeNext copies the new key file into the data folder. In the middle of a move
// it only holds path, if one is given, against the key that the move is to.
func (d *data) takeNext(path string) error {
	if path == "" && d.ring.Previous == "" {
		return errors.New("name the new key file with --new-key")
	}
	if path == "" {
		return nil
	}
	k, err := localkms.Open(path, false)
	switch {
	case err != nil:
		return err
	case d.ring.Previous != "" && k.ID() != d.ring.Current:
		return fmt.Errorf("the store is being moved to the key %s, and %s holds %s. Finish that first: credence rekey without --new-key", d.ring.Current, path, k.ID())
	case d.ring.Previous != "":
		return nil
	case k.ID() == d.ring.Current:
		return fmt.Errorf("%s holds the key that the store is under already. Name another file with --new-key, which is made if it does not exist", path)
	}
	next := filepath.Join(d.folder, keyNext)
	// One that is there was left by a move that the store does not know of.
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err = localkms.Copy(path, next)
	return err
}

// recordBoth begins the move, unless it has begun. From then on the gate moves
// what was sealed under the old key and is not stored yet.
func (d *data) recordBoth(ctx context.Context, done *rekeyed) error {
	if d.ring.Previous == "" {
		next, err := localkms.Open(filepath.Join(d.folder, keyNext), true)
		if err != nil {
			return err
		}
		before := d.keys.Current()
		ring := credential.KeyRing{Current: next.ID(), Previous: before.ID()}
		err = d.gate.turn(func() error {
			if err := ring.Save(ctx, d.gate.Store, d.ring); err != nil {
				return err
			}
			d.keys.Use(next, before)
			return nil
		})
		if err != nil {
			return err
		}
		d.ring = ring
	}
	done.KeyID, done.Previous = d.ring.Current, d.ring.Previous
	return nil
}

// move moves the data keys of every organisation.
func (d *data) move(ctx context.Context, done *rekeyed) error {
	orgs, err := d.identity.Orgs(ctx)
	if err != nil {
		return err
	}
	r := credential.Rewrapper{Store: d.store, Keys: d.keys, Current: d.ring.Current}
	refused := 0
	for _, o := range orgs {
		for cursor := ""; ; {
			moved, err := r.Org(ctx, o.ID, cursor, 1000)
			if err != nil {
				return err
			}
			done.Moved, done.Already, refused = done.Moved+moved.Moved, done.Already+moved.Already, refused+len(moved.Refused)
			if cursor = moved.Next; cursor == "" {
				break
			}
		}
	}
	if refused > 0 {
		return fmt.Errorf("%d secrets do not open under the old key, so they were not moved, and the store keeps both keys. "+
			"credence check --open names them; replace or delete their credentials, then repeat credence rekey", refused)
	}
	return nil
}

// swapFiles puts the new key file in the old one's place. Either rename may have
// been made already.
func (d *data) swapFiles(context.Context, *rekeyed) error {
	key, next := filepath.Join(d.folder, keyFile), filepath.Join(d.folder, keyNext)
	if _, err := os.Lstat(next); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.Rename(key, oldKeyFile(d.folder, d.ring.Previous)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if d.stepped != nil {
		if err := d.stepped(-1); err != nil {
			return err
		}
	}
	return errors.Join(os.Rename(next, key), syncFolder(d.folder))
}

// recordNew ends the move. This process keeps the old key in memory for the requests
// that began before; the next one does not open it.
func (d *data) recordNew(ctx context.Context, _ *rekeyed) error {
	ring := credential.KeyRing{Current: d.ring.Current}
	if err := ring.Save(ctx, d.store, d.ring); err != nil {
		return err
	}
	d.ring = ring
	return nil
}

// gate is a store that keeps every secret under the current key: one that was
// sealed before a move to another key began, and is stored after that, is moved on
// its way. Without it, such a secret would be under a key that is gone.
type gate struct {
	store.Store
	keys *localkms.Ring // has the key before, also when the move has ended
	mu   sync.RWMutex   // held for reading by each commit

	failed atomic.Int64 // when the store last failed to take a commit, Unix milliseconds; 0 = never
}

// lastFailure returns when the store last failed to take a commit, the zero time if
// it never did.
func (g *gate) lastFailure() time.Time {
	if ms := g.failed.Load(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// Commit implements store.Store.
func (g *gate) Commit(ctx context.Context, writes ...store.Write) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	var moved []store.Write
	for n, w := range writes {
		if w.Verb != store.Put || w.Item.Key.Table != store.Vault || len(g.keys.Previous()) == 0 {
			continue
		}
		item, err := credential.Rewrapper{Keys: g.keys, Current: g.keys.Current().ID()}.Item(ctx, w.Item)
		if err != nil {
			return err
		}
		if moved == nil {
			moved = slices.Clone(writes)
		}
		moved[n].Item = item
	}
	if moved != nil {
		writes = moved
	}
	err := g.Store.Commit(ctx, writes...)
	if ctx.Err() == nil && (errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrOutcomeUnknown)) {
		g.failed.Store(time.Now().UnixMilli())
	}
	return err
}

// turn runs do while no commit is under way. do writes past the gate.
func (g *gate) turn(do func() error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return do()
}
