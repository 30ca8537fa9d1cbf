package main

import (
	"context"

	"credence/shared/api/admin"
)

// userCommands manage the users of an organisation.
type userCommands struct {
	Add userAdd `cmd:"" help:"Add a user to an organisation, and a service key, which is printed once."`
}

type userAdd struct {
	Email  string `arg:"" help:"Address of the user."`
	Org    int64  `placeholder:"ID" help:"Organisation; needed if there are several."`
	Name   string `placeholder:"NAME" help:"Full name."`
	Admin  bool   `help:"Make the user an admin of the organisation."`
	output `embed:""`
	where  `embed:""`
}

// Run adds the user and prints the user's service key.
func (c *userAdd) Run(ctx context.Context, io streams) error {
	reply, err := c.do(ctx, admin.Command{Action: admin.AddUser, Org: c.Org, Email: c.Email, Full: c.Name, Admin: c.Admin})
	if err != nil {
		return err
	}
	return c.added(io, reply)
}
