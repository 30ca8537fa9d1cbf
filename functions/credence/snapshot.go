package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/identity"
	"credence/shared/store/embedded"
)

// stalled is how long a client of the admin socket may take no byte of a copy: a
// copy that does not end keeps pages of the store from being used again.
const stalled = 30 * time.Second

// errOnlyEmbedded is the answer of commands about a store's file where the store
// is DynamoDB.
var errOnlyEmbedded = errors.New("this works on the embedded store. The tables of DynamoDB have point-in-time recovery and on-demand backups of their own")

// answerSnapshot streams a consistent copy of the open store.
func (p *program) answerSnapshot(w http.ResponseWriter, r *http.Request) {
	fail := func(err error) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		_ = json.MarshalWrite(w, socketReply{Error: explain(err)}) // the only error is that of the connection
	}
	if p.data.file == nil {
		fail(errOnlyEmbedded)
		return
	}
	begun := false
	err := p.data.file.Copy(r.Context(), func(size int64) (io.Writer, error) {
		begun = true
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		return patient{w, http.NewResponseController(w)}, nil
	})
	switch {
	case err != nil && begun:
		panic(http.ErrAbortHandler) // the client sees fewer bytes than were announced
	case err != nil:
		fail(err)
	}
}

// patient gives each write its own time.
type patient struct {
	w       io.Writer
	control *http.ResponseController
}

func (p patient) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(stalled)); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}

// snapshot writes a consistent copy of the store in a data folder into a new file:
// through the server that has it open, else from the file itself.
func snapshot(ctx context.Context, w where, to string) (err error) {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("copying the store: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	client, err := socketClient(ctx, w.Data)
	if errors.Is(err, errNoServer) {
		return copyClosed(ctx, filepath.Join(w.Data, embedded.FileName), f)
	}
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin/snapshot", nil)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return replyError(res)
	}
	if n, err := io.Copy(f, res.Body); err != nil || n != res.ContentLength {
		return fmt.Errorf("copying the store: the server sent %d bytes of %d: %w", n, res.ContentLength, err)
	}
	return nil
}

// replyError reads why the server did not do what it was asked.
func replyError(res *http.Response) error {
	var reply socketReply
	if err := json.UnmarshalRead(io.LimitReader(res.Body, 64<<10), &reply); err != nil || reply.Error == "" {
		return fmt.Errorf("the running server answers %d. It may be of another version: restart it, and repeat the command", res.StatusCode)
	}
	return errors.New(reply.Error)
}

// copyClosed copies the file of a store that no process has open.
func copyClosed(ctx context.Context, path string, to io.Writer) error {
	if _, err := soundFile(path); err != nil {
		return err
	}
	s, err := embedded.OpenReadOnly(path)
	if err != nil {
		return err
	}
	err = s.Copy(ctx, func(int64) (io.Writer, error) { return to, nil })
	return errors.Join(err, s.Close())
}

// soundFile verifies a store's file; its first fault is an error.
func soundFile(path string) (embedded.Report, error) {
	report, err := embedded.Verify(path, nil)
	switch {
	case errors.Is(err, os.ErrNotExist):
		err = fmt.Errorf("there is no store at %s. Name its folder with --data", path)
	case err == nil && len(report.Faults) > 0:
		err = &embedded.FileError{Fault: report.Faults[0]}
	}
	return report, err
}

// soundStore verifies a store's file and reads which keys it is under.
func soundStore(ctx context.Context, path string) (embedded.Report, credential.KeyRing, error) {
	report, err := soundFile(path)
	if err != nil {
		return report, credential.KeyRing{}, err
	}
	s, err := embedded.OpenReadOnly(path)
	if err != nil {
		return report, credential.KeyRing{}, err
	}
	defer func() { _ = s.Close() }()
	orgs, err := identity.New(s, audit.Journal{}, time.Now).Orgs(ctx)
	if err != nil {
		return report, credential.KeyRing{}, err
	}
	ring, _, err := credential.LoadKeyRing(ctx, s, orgs)
	return report, ring, err
}
