package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"filippo.io/age"
	"github.com/go-json-experiment/json"
)

// load is a server whose clients create, change, use, read and delete credentials
// until it is stopped.
type load struct {
	server  *server
	stop    func()
	changes atomic.Int64
}

func (l *load) ask(t *testing.T, method, path, sign, body string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, l.server.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", sign)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%s %s: %d %s, %v", method, path, res.StatusCode, b, err)
	}
	return b
}

func underLoad(t *testing.T, dir string, clients int) *load {
	t.Helper()
	l := &load{server: start(t, dir)}
	var signed struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(l.ask(t, "POST", "/token", "Basic "+key(t, l.server.out.String()), ""), &signed); err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				default:
					l.change(t, "Bearer "+signed.Token, fmt.Sprintf("%d-%d", c, n), n%5 == 4)
				}
			}
		})
	}
	var once sync.Once
	l.stop = func() { once.Do(func() { close(end); wg.Wait() }) }
	t.Cleanup(l.stop)
	return l
}

// change makes one credential and what a client does with it.
func (l *load) change(t *testing.T, sign, name string, gone bool) {
	draft := func(password string) string {
		return fmt.Sprintf(`{"name":%q,"credentials_type":"postgres","credentials":{"host":"db.example.com","port":5432,"database":"d","username":"u","password":%q}}`, name, password)
	}
	var made struct {
		ID int64 `json:"id"`
	}
	if err := json.Unmarshal(l.ask(t, "POST", "/data_credentials", sign, draft("one")), &made); err != nil {
		t.Error(err)
		return
	}
	path := fmt.Sprintf("/data_credentials/%d", made.ID)
	l.ask(t, "PUT", path, sign, draft("two "+name))
	l.ask(t, "GET", path+"/credentials", sign, "")
	if gone {
		l.ask(t, "DELETE", path, sign, "")
	} else {
		l.ask(t, "POST", path+"/referenced_by", sign, `{"type":"pipeline","id":"p"}`)
	}
	l.changes.Add(1)
}

// reached waits until the clients have made n changes.
func (l *load) reached(t *testing.T, n int64) {
	t.Helper()
	waitFor(t, func() bool { return l.changes.Load() >= n || t.Failed() })
}

// TestBackupsUnderLoad takes five backups while eight clients write. Each one is
// whole: restored, every secret in it opens, and no row contradicts another. The
// server itself passes the same check while it is under load.
func TestBackupsUnderLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	l := underLoad(t, dir, 8)
	backups := t.TempDir()
	for n := range 5 {
		l.reached(t, l.changes.Load()+6)
		command(t, 0, "backup", filepath.Join(backups, fmt.Sprint(n)), "--data", dir)
	}
	command(t, 0, "check", "--data", dir, "--open")
	l.stop()
	l.server.end(t)
	entries := int64(0)
	for n := range 5 {
		file, to := filepath.Join(backups, fmt.Sprint(n)), filepath.Join(t.TempDir(), "restored")
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the backup: %v, %v", info, err)
		}
		if out := command(t, 0, "restore", file, "--data", to); !strings.Contains(out, "Put the key file") {
			t.Errorf("restore says %q", out)
		}
		command(t, 1, "serve", "--addr", "127.0.0.1:0", "--data", to) // without its key
		copyFile(t, filepath.Join(dir, "key"), filepath.Join(to, "key"))
		var found checked
		out := command(t, 0, "check", "--data", to, "--open", "--json")
		if err := json.Unmarshal([]byte(out), &found); err != nil || !found.OK || !found.Opened || found.Secrets < found.Credentials {
			t.Errorf("backup %d: %s, %v", n, out, err)
		}
		if found.AuditEntries <= entries {
			t.Errorf("backup %d has %d audit entries, the one before it %d", n, found.AuditEntries, entries)
		}
		entries = found.AuditEntries
		start(t, to).end(t)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left in the data folder: %v, %v", left, err)
	}
	if left, err := os.ReadDir(backups); err != nil || len(left) != 5 {
		t.Errorf("%d files beside the backups, %v", len(left)-5, err)
	}
}

// TestBackupWithKey: the key leaves only encrypted, and comes back with the store.
func TestBackupWithKey(t *testing.T) {
	dir := formerStore(t)
	copyFile(t, filepath.Join("testdata", "format1.key"), filepath.Join(dir, "key"))
	secret, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file, mine, foreign := filepath.Join(folder, "backup"), filepath.Join(folder, "mine"), filepath.Join(folder, "foreign")
	for path, id := range map[string]*age.X25519Identity{mine: identity, foreign: other} {
		if err := os.WriteFile(path, []byte(id.String()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	says := func(want int, text string, args ...string) {
		t.Helper()
		if out := command(t, want, args...); !strings.Contains(out, text) {
			t.Errorf("%v says %q, want %q in it", args, out, text)
		}
	}
	says(2, "--with-key needs --recipient", "backup", file, "--data", dir, "--with-key")
	says(2, "must be an age recipient", "backup", file, "--data", dir, "--recipient", "age1nonsense")
	says(0, "74 records", "backup", file, "--data", dir, "--with-key", "--recipient", identity.Recipient().String())
	says(1, "exists already", "backup", file, "--data", dir)
	packed, err := os.ReadFile(file)
	if err != nil || bytes.Contains(packed, secret[21:40]) || bytes.Contains(packed, []byte("CRED#")) {
		t.Errorf("the backup holds the key or the store in clear, %v", err)
	}
	to := filepath.Join(t.TempDir(), "restored")
	says(1, "--identity", "restore", file, "--data", to)
	says(1, "does not open this backup", "restore", file, "--data", to, "--identity", foreign)
	says(1, "not a file of age identities", "restore", file, "--data", to, "--identity", file)
	says(0, "0 faults", "check", file, "--identity", mine)
	says(0, "74 records", "restore", file, "--data", to, "--identity", mine)
	says(0, "each opened", "check", "--data", to, "--open")
	says(1, "writes over nothing", "restore", file, "--data", to, "--identity", mine)
	if names, err := os.ReadDir(to); err != nil || len(names) != 2 {
		t.Errorf("the folder holds %v, %v", names, err)
	}
	// Beside another key nothing is put.
	wrong := t.TempDir()
	start(t, wrong).end(t)
	if err := os.Remove(filepath.Join(wrong, "credence.db")); err != nil {
		t.Fatal(err)
	}
	before := content(t, wrong)
	says(1, "sealed under the key local-", "restore", file, "--data", wrong, "--identity", mine)
	if content(t, wrong) != before {
		t.Error("a refused restore left something")
	}
}

// TestDamagedBackup changes and cuts off a backup: a restore either puts exactly
// the store there that was backed up, or nothing.
func TestDamagedBackup(t *testing.T) {
	dir := formerStore(t)
	copyFile(t, filepath.Join("testdata", "format1.key"), filepath.Join(dir, "key"))
	file := filepath.Join(t.TempDir(), "backup")
	command(t, 0, "backup", file, "--data", dir)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	good := filepath.Join(t.TempDir(), "good")
	command(t, 0, "restore", file, "--data", good)
	store := content(t, good)
	random := rand.New(rand.NewPCG(5, 6))
	refused := 0
	try := func(what string, damaged []byte) {
		t.Helper()
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(t.TempDir(), "to")
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"restore", file, "--data", to}, streams{&out, &errs})
		got := content(t, to)
		if code == 0 && got != store || code != 0 && got != "" || strings.Count(errs.String(), "\n") > 1 {
			t.Errorf("%s: exit %d: %s", what, code, errs.String())
		}
		if code != 0 {
			refused++
		}
	}
	for range 150 {
		at := random.IntN(len(whole))
		damaged := bytes.Clone(whole)
		damaged[at] ^= byte(1 + random.IntN(255))
		try(fmt.Sprintf("byte %d changed", at), damaged)
	}
	for range 30 {
		n := random.IntN(len(whole) - 1024) // behind the manifest a tar file ends with zeros
		try(fmt.Sprintf("cut to %d bytes", n), whole[:n])
	}
	try("no backup", []byte("a letter\n"))
	try("nothing", nil)
	if refused < 150 {
		t.Errorf("%d damaged backups were refused", refused)
	}
}

// TestCheckNamesFaults: a fault in a file, and one between rows, end a check with
// code 1, each with its remedy.
func TestCheckNamesFaults(t *testing.T) {
	dir := formerStore(t)
	copyFile(t, filepath.Join("testdata", "format1.key"), filepath.Join(dir, "key"))
	command(t, 0, "compact", "--data", dir)
	path := filepath.Join(dir, "credence.db")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	at := bytes.LastIndex(damaged, []byte("cred 2b"))
	damaged[at] ^= 1
	if err := errors.Join(os.WriteFile(path, damaged, 0o600)); err != nil {
		t.Fatal(err)
	}
	out := command(t, 1, "check", "--data", dir)
	for _, want := range []string{"The record of \"ORG#", "is damaged", "restore the newest backup", "faults"} {
		if !strings.Contains(out, want) {
			t.Errorf("check says %q, want %q in it", out, want)
		}
	}
	var found checked
	out = command(t, 1, "check", "--data", dir, "--json")
	if err := json.Unmarshal([]byte(out[:strings.LastIndex(out, "}")+1]), &found); err != nil || found.OK || len(found.Findings) == 0 || found.Findings[0].Remedy == "" {
		t.Errorf("check --json: %s, %v", out, err)
	}
	if out := command(t, 1, "check", "--data", t.TempDir()); !strings.Contains(out, "no store") {
		t.Errorf("a folder without a store: %s", out)
	}
	if out := command(t, 1, "backup", filepath.Join(t.TempDir(), "b"), "--data", dir); !strings.Contains(out, "damaged") {
		t.Errorf("backup of a damaged store: %s", out)
	}
}
