package main

import (
	"context"

	"credence/shared/api/admin"
)

// keyCommands manage service keys.
type keyCommands struct {
	Add keyAdd `cmd:"" help:"Add a service key for a user, which is printed once."`
}

type keyAdd struct {
	Email  string `arg:"" help:"Address of the user."`
	Org    int64  `placeholder:"ID" help:"Organisation; needed if there are several."`
	Name   string `placeholder:"NAME" help:"Name of the key."`
	output `embed:""`
	where  `embed:""`
}

// Run adds the key and prints it.
func (c *keyAdd) Run(ctx context.Context, io streams) error {
	reply, err := c.do(ctx, admin.Command{Action: admin.AddKey, Org: c.Org, Email: c.Email, Name: c.Name})
	if err != nil {
		return err
	}
	return c.added(io, reply)
}
