package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"credence/shared/access"
	"credence/shared/api/admin"
	"credence/shared/nearest"
)

// keyCommands manage service keys.
type keyCommands struct {
	Add      keyAdd      `cmd:"" help:"Add a service key for a user, which is printed once."`
	List     keyList     `cmd:"" help:"List the service keys of an organisation or of one user."`
	Show     keyShow     `cmd:"" help:"Show one service key, without its text."`
	Pause    keyPause    `cmd:"" help:"Pause a service key: it and its sessions are not accepted until it is activated."`
	Activate keyActivate `cmd:"" help:"Activate a paused service key."`
	Rotate   keyRotate   `cmd:"" help:"Give a service key a new text, which is printed once; the old one is not accepted from now on."`
	Delete   keyDelete   `cmd:"" help:"Delete a service key, with its sessions and the keys that were made with it."`
}

type keyAdd struct {
	User   string         `arg:"" help:"Address or id of the user."`
	Name   string         `placeholder:"NAME" help:"Name of the key."`
	Scopes []access.Scope `placeholder:"SCOPE" help:"What the key may do: read, probe, use, write, share, reveal; everything but reveal if left out."`
	within `embed:""`
	output `embed:""`
	where  `embed:""`
}

// Run adds the key and prints it.
func (c *keyAdd) Run(ctx context.Context, io streams) error {
	if err := usage("key add", unknownScopes(c.Scopes)...); err != nil {
		return err
	}
	return c.run(ctx, io, c.output, named(c.User, admin.Command{Action: admin.AddKey, Org: c.Org, Name: c.Name, Scopes: c.Scopes}))
}

// unknownScopes returns a problem for each scope that does not exist.
func unknownScopes(list []access.Scope) []string {
	var known, problems []string
	for _, s := range access.Scopes {
		known = append(known, string(s))
	}
	for _, s := range list {
		if !slices.Contains(access.Scopes, s) {
			hint := nearest.Hint(nearest.To(string(s), known, nil))
			problems = append(problems, fmt.Sprintf("--scopes: there is no scope %q.%s The scopes are %s.", s, hint, strings.Join(known, ", ")))
		}
	}
	return problems
}

type keyList struct {
	User      string `arg:"" optional:"" help:"Address or id of the user; every key of the organisation if left out."`
	ExpiresIn int    `placeholder:"DAYS" help:"Only keys that have expired or expire within so many days."`
	within    `embed:""`
	output    `embed:""`
	where     `embed:""`
}

// Run prints a table of the keys.
func (c *keyList) Run(ctx context.Context, io streams) error {
	if c.ExpiresIn < 0 || c.ExpiresIn > 366 {
		return usage("key list", "--expires-in must be 1 to 366 days; leave it out for every key.")
	}
	return c.run(ctx, io, c.output, named(c.User, admin.Command{Action: admin.ListKeys, Org: c.Org, ExpiresIn: c.ExpiresIn}))
}

// aKey is what a command on one key is given.
type aKey struct {
	Key    int64 `arg:"" help:"Id of the key; key list shows it."`
	within `embed:""`
	output `embed:""`
	where  `embed:""`
}

func (c *aKey) does(ctx context.Context, io streams, action string) error {
	return c.run(ctx, io, c.output, admin.Command{Action: action, Org: c.Org, Key: c.Key})
}

type (
	keyShow     struct{ aKey }
	keyPause    struct{ aKey }
	keyActivate struct{ aKey }
	keyRotate   struct{ aKey }
	keyDelete   struct{ aKey }
)

// Run prints the key without its text.
func (c *keyShow) Run(ctx context.Context, io streams) error { return c.does(ctx, io, admin.ShowKey) }

// Run pauses the key and prints it.
func (c *keyPause) Run(ctx context.Context, io streams) error { return c.does(ctx, io, admin.PauseKey) }

// Run activates the key and prints it.
func (c *keyActivate) Run(ctx context.Context, io streams) error {
	return c.does(ctx, io, admin.ActivateKey)
}

// Run rotates the key and prints its new text.
func (c *keyRotate) Run(ctx context.Context, io streams) error {
	return c.does(ctx, io, admin.RotateKey)
}

// Run deletes the key and prints which one it was.
func (c *keyDelete) Run(ctx context.Context, io streams) error {
	return c.does(ctx, io, admin.DeleteKey)
}
