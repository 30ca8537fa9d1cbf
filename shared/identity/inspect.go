package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"credence/shared/store"
)

// Finding is one place where what is stored contradicts itself: its row, what is
// wrong with it, and what the operator can do. It names ids and never a secret.
type Finding struct {
	Key     store.Key
	Problem string
	Remedy  string
}

// What an operator can do about a finding.
const (
	RemedyRestore  = "Restore the newest backup whose check is clean, and repeat what was done since."
	RemedyHarmless = "Nothing is lost: no answer of the service is built on this row. It goes when a clean backup is restored."
)

// Inspect compares the rows of an organisation's users, service keys and teams with
// one another: the organisation and its place in the list, each user and the row of
// the user's address, the number of keys and the keys, teams, their names, their
// members and the number of teams. It returns the users too.
// A finding is looked for once more, since a change may have been seen half made.
// May be called again at will.
func Inspect(ctx context.Context, s store.Store, org int64) ([]User, []Finding, error) {
	users, first, err := inspect(ctx, s, org)
	if err != nil || len(first) == 0 {
		return users, nil, err
	}
	users, second, err := inspect(ctx, s, org)
	var both []Finding
	for _, f := range second {
		if slices.Contains(first, f) {
			both = append(both, f)
		}
	}
	return users, both, err
}

func inspect(ctx context.Context, s store.Store, org int64) ([]User, []Finding, error) {
	i := inspection{store: s, org: org, mails: map[string]int64{}, names: map[store.Key]int64{}}
	if err := i.orgRows(ctx); err != nil {
		return nil, nil, err
	}
	for _, prefix := range []string{"MAIL#", userPrefix, teamNamePrefix, teamPrefix} {
		if err := i.each(ctx, OrgPartition(org), prefix, i.row); err != nil {
			return nil, nil, err
		}
	}
	for _, u := range i.users {
		if err := i.user(ctx, u); err != nil {
			return nil, nil, err
		}
	}
	if err := i.memberships(ctx); err != nil {
		return nil, nil, err
	}
	for mail, user := range i.mails {
		i.found(MailKey(org, mail), fmt.Sprintf("An address leads to user %d, who does not have it.", user), RemedyRestore)
	}
	return i.users, i.findings, nil
}

type inspection struct {
	store    store.Store
	org      int64
	mails    map[string]int64 // whose user was not met yet
	users    []User
	names    map[store.Key]int64 // of teams that were not met yet
	teams    []Team
	findings []Finding
}

func (i *inspection) found(k store.Key, problem, remedy string) {
	i.findings = append(i.findings, Finding{Key: k, Problem: problem, Remedy: remedy})
}

func (i *inspection) orgRows(ctx context.Context) error {
	items, err := i.store.Get(ctx, OrgKey(i.org), SystemKey(i.org))
	if err != nil {
		return err
	}
	if _, err := DecodeOrg(items[0]); err != nil {
		i.found(OrgKey(i.org), "The row of the organisation is missing or does not decode.", RemedyRestore)
	}
	if items[1].Attributes.Int("org") != i.org {
		i.found(SystemKey(i.org), "The list of organisations does not lead to this one.", RemedyRestore)
	}
	return nil
}

// each reads all rows of a partition whose sort key has the prefix.
func (i *inspection) each(ctx context.Context, partition, prefix string, do func(store.Item)) error {
	r := store.Under(store.Meta, partition, prefix)
	r.Limit = 500
	for {
		page, err := i.store.Range(ctx, r)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			do(item)
			r.After = item.Key.Sort
		}
		if !page.More {
			return nil
		}
	}
}

func (i *inspection) row(item store.Item) {
	if mail, ok := strings.CutPrefix(item.Key.Sort, "MAIL#"); ok {
		i.mails[mail] = item.Attributes.Int("user")
		return
	}
	if strings.HasPrefix(item.Key.Sort, teamNamePrefix) {
		i.names[item.Key] = item.Attributes.Int("team")
		return
	}
	if strings.HasPrefix(item.Key.Sort, teamPrefix) {
		i.team(item)
		return
	}
	u, err := DecodeUser(item)
	if err != nil {
		i.found(item.Key, "The row of a user does not decode.", RemedyRestore)
		return
	}
	mail := strings.ToLower(u.Email)
	if i.mails[mail] != u.ID {
		i.found(item.Key, "The address of this user does not lead to the user.", RemedyRestore)
	} else {
		delete(i.mails, mail)
	}
	i.users = append(i.users, u)
}

func (i *inspection) user(ctx context.Context, u User) error {
	n := 0
	err := i.each(ctx, UserPartition(i.org, u.ID), keyPrefix, func(item store.Item) {
		n++
		if _, err := decodeKey(item); err != nil {
			i.found(item.Key, "The row of a service key does not decode.", RemedyRestore)
		}
	})
	if err == nil && n != u.KeyCount {
		i.found(UserKey(i.org, u.ID), fmt.Sprintf("The user has %d service keys, and the row counts %d.", n, u.KeyCount), RemedyRestore)
	}
	return err
}
