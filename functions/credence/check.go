package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"credence/shared/audit"
	"credence/shared/credential"
	"credence/shared/envelope/localkms"
	"credence/shared/identity"
	"credence/shared/resource"
	"credence/shared/store"
	"credence/shared/store/embedded"
)

// checkCommand verifies a store, or a backup, and writes nothing.
type checkCommand struct {
	File     string `arg:"" optional:"" help:"A backup, or a store's file; without it the store of --data, whether the server runs or not."`
	Open     bool   `help:"Open each secret with the key file too, and drop it at once."`
	Identity string `placeholder:"FILE" help:"Age identity of an encrypted backup."`
	output   `embed:""`
	where    `embed:""`
}

// checked is the result of a check.
type checked struct {
	OK            bool           `json:"ok"`
	What          string         `json:"what"` // that was checked
	StoreFormat   int            `json:"store_format,omitzero"`
	Bytes         int64          `json:"bytes,omitzero"`
	Records       int            `json:"records,omitzero"`
	WithoutSum    int            `json:"records_without_checksum,omitzero"`
	Permissions   int            `json:"permissions,omitzero"` // of the data folder and its files
	Organisations int            `json:"organisations"`
	Users         int            `json:"users"`
	Credentials   int            `json:"credentials"`
	Secrets       int            `json:"secrets"`
	Opened        bool           `json:"secrets_opened"`
	References    int            `json:"references"`
	AuditEntries  int64          `json:"audit_entries"`
	Findings      []checkFinding `json:"findings"`
	More          int            `json:"more_findings,omitzero"`
}

type checkFinding struct {
	Where   string `json:"where"` // a row, or the file
	Problem string `json:"problem"`
	Remedy  string `json:"remedy"`
}

// maxFindings is how many findings a check lists.
const maxFindings = 500

// errFindings ends a check that found something, with exit code 1.
var errFindings = errors.New("the check found faults, which are listed above")

const (
	remedyFile = "Stop the server, keep a copy of the file, and restore the newest backup whose check is clean into an empty folder."
	remedyOld  = "Stop the server and run credence compact."
)

func (c *checked) add(where, problem, remedy string) {
	if len(c.Findings) == maxFindings {
		c.More++
		return
	}
	c.Findings = append(c.Findings, checkFinding{Where: where, Problem: problem, Remedy: remedy})
}

// Run checks and prints the result; the error is errFindings if there are findings.
func (c *checkCommand) Run(ctx context.Context, io streams) error {
	if err := usage("check", c.resolve()...); err != nil {
		return err
	}
	result, err := c.check(ctx, io.err)
	if err != nil {
		return err
	}
	result.OK = len(result.Findings) == 0
	if c.JSON {
		err = printJSON(io.out, result)
	} else {
		err = result.print(io.out)
	}
	if err == nil && !result.OK {
		return errFindings
	}
	return err
}

func (c *checkCommand) check(ctx context.Context, terminal io.Writer) (*checked, error) {
	r := &checked{What: c.Data, Findings: []checkFinding{}, Opened: c.Open}
	if c.File == "" || c.Open {
		r.Permissions, r.Findings = checkRights(c.Data)
	}
	if c.File == "" && c.Store == storeDynamo {
		s, err := openDynamo(ctx, c.where)
		if err != nil {
			return nil, err
		}
		r.What = c.DynamoTables + "-meta, -vault and -audit"
		return r, c.items(ctx, r, s, nil, terminal)
	}
	path, done, err := c.find(ctx)
	if done != nil {
		defer done()
	}
	if err != nil {
		return nil, err
	}
	if c.File != "" {
		r.What = c.File
	}
	bar := newProgress(terminal, "Reading the file")
	report, err := embedded.Verify(path, bar.set)
	bar.end()
	if err != nil {
		return nil, err
	}
	r.StoreFormat, r.Bytes, r.Records, r.WithoutSum = report.Format, report.Bytes, report.Items, report.Old
	for _, fault := range report.Faults {
		r.add(embedded.FileName, strings.ToUpper(fault[:1])+fault[1:]+".", remedyFile)
	}
	if r.More += report.More; len(report.Faults) > 0 {
		return r, nil // its items cannot be compared: what is missing would be a finding for each
	}
	s, err := embedded.OpenReadOnly(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	return r, c.items(ctx, r, s, s, terminal)
}

// find returns the file to check: a copy where the server runs or the store is in
// a backup. done, if not nil, removes it.
func (c *checkCommand) find(ctx context.Context) (path string, done func(), err error) {
	if c.File == "" {
		client, err := socketClient(ctx, c.Data)
		if errors.Is(err, errNoServer) {
			path = filepath.Join(c.Data, embedded.FileName)
			if _, err := os.Lstat(path); err != nil {
				return "", nil, fmt.Errorf("there is no store in %s. Name another folder with --data", c.Data)
			}
			return path, nil, nil
		}
		if err != nil {
			return "", nil, err
		}
		client.CloseIdleConnections()
	} else if packed, err := isBackup(c.File); err != nil || !packed {
		return c.File, nil, err
	}
	folder := c.Data
	if c.File != "" {
		folder = filepath.Dir(c.File)
	}
	work, err := os.MkdirTemp(folder, ".check-*") // mode 0700, on a disk that has room for the store
	if err != nil {
		return "", nil, fmt.Errorf("making room for a copy of the store: %w", err)
	}
	done = func() { _ = os.RemoveAll(work) }
	path = filepath.Join(work, embedded.FileName)
	if c.File == "" {
		return path, done, snapshot(ctx, c.where, path)
	}
	from, err := os.Open(c.File)
	if err != nil {
		return "", done, err
	}
	defer func() { _ = from.Close() }()
	_, key, err := unpackFile(from, c.Identity, path)
	clear(key)
	return path, done, err
}

// items compares what is stored with itself: organisation by organisation, and
// then, in an embedded store, the audit logs of credentials that are deleted.
func (c *checkCommand) items(ctx context.Context, r *checked, s store.Store, file *embedded.Store, terminal io.Writer) error {
	orgs, err := identity.New(s, audit.Journal{}, nil).Orgs(ctx)
	if err != nil {
		return err
	}
	ring, _, err := credential.LoadKeyRing(ctx, s, orgs)
	if err != nil {
		return err
	}
	i := credential.Inspector{Store: s, Users: resource.Inspect}
	for _, id := range []string{ring.Current, ring.Previous} {
		if id != "" {
			i.KeyIDs = append(i.KeyIDs, id)
		}
	}
	if c.Open {
		var keys *localkms.Ring
		if keys, err = loadKeys(c.Data, ring, true); err != nil {
			return err
		}
		i.Keys = keys
	}
	bar := newProgress(terminal, "Comparing credentials")
	defer bar.end()
	for _, o := range orgs {
		r.Organisations++
		for cursor := ""; ; {
			done, err := i.Org(ctx, o.ID, cursor, 100)
			if err != nil {
				return err
			}
			r.take(done)
			bar.count(int64(r.Credentials))
			if cursor = done.Next; cursor == "" {
				break
			}
		}
	}
	if file == nil {
		return nil
	}
	return r.logs(ctx, file)
}

func (c *checked) take(done credential.Inspected) {
	c.Users += done.Users
	c.Credentials += done.Credentials
	c.Secrets += done.Secrets
	c.References += done.References
	c.AuditEntries += done.AuditEntries
	for _, f := range done.Findings {
		c.add(fmt.Sprintf("%s %s %s", f.Key.Table, f.Key.Partition, f.Key.Sort), f.Problem, f.Remedy)
	}
}

// logs verifies the audit logs of credentials that are deleted, which no list leads
// to, and that every other log has its credential.
func (c *checked) logs(ctx context.Context, file *embedded.Store) error {
	var heads []store.Item
	err := file.Each(ctx, store.Audit, func(i store.Item) error {
		if i.Key.Sort == "HEAD" {
			heads = append(heads, i)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, head := range heads {
		key := head.Key
		org, id, ok := audit.PlaceOf(key.Partition)
		if !ok {
			c.add(key.Partition, "The place of an audit log does not decode.", identity.RemedyRestore)
			continue
		}
		row, ok := resource.RowKey(audit.DecodeHead(head).Type, org, id)
		if !ok {
			row = credential.RowKey(org, id)
		}
		found, err := file.Get(ctx, row, key)
		if err != nil {
			return err
		}
		gone := audit.DecodeHead(found[1]).Gone
		switch {
		case found[0].Found() && gone:
			c.add(key.Partition, fmt.Sprintf("The audit log of %d says that it is deleted, and it exists.", id), identity.RemedyRestore)
		case !found[0].Found() && !gone:
			c.add(key.Partition, fmt.Sprintf("There is an audit log of %d, which does not exist and was not deleted.", id), identity.RemedyRestore)
		case !found[0].Found():
			report, err := audit.Verify(ctx, file, org, id)
			if err != nil {
				return err
			}
			c.AuditEntries += report.Changes + report.Observations
			for _, f := range report.Faults {
				c.add(f.Key.Partition+" "+f.Key.Sort, fmt.Sprintf("The audit log of %d, which is deleted: %s", id, f.Message), identity.RemedyRestore)
			}
		}
	}
	return nil
}

// print lists the findings and one line of counts.
func (c *checked) print(w io.Writer) error {
	for _, f := range c.Findings {
		if _, err := fmt.Fprintf(w, "%s\n  %s\n  %s\n", f.Where, f.Problem, f.Remedy); err != nil {
			return err
		}
	}
	if c.More > 0 {
		if _, err := fmt.Fprintf(w, "… and %d more\n", c.More); err != nil {
			return err
		}
	}
	opened, rights := "", ""
	if c.Opened {
		opened = ", each opened"
	}
	if c.Permissions > 0 {
		rights = ", " + count(c.Permissions, "file permission")
	}
	_, err := fmt.Fprintf(w, "%s: %s, %s, %s, %s, %s%s, %s, %s%s: %s.\n", c.What, count(c.Records, "record"), count(c.Organisations, "organisation"),
		count(c.Users, "user"), count(c.Credentials, "credential"), count(c.Secrets, "secret"), opened, count(c.References, "reference"),
		count(int(c.AuditEntries), "audit entry"), rights, count(len(c.Findings)+c.More, "fault"))
	if err == nil && c.WithoutSum > 0 {
		_, err = fmt.Fprintf(w, "%d records are of an older format, without a checksum. %s\n", c.WithoutSum, remedyOld)
	}
	return err
}

// count writes a number and its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
