package main

import (
	"context"
	"strconv"

	"credence/shared/api/admin"
)

// userCommands manage the users of an organisation.
type userCommands struct {
	Add      userAdd      `cmd:"" help:"Add a user to an organisation, and a service key, which is printed once."`
	List     userList     `cmd:"" help:"List the users of an organisation."`
	Show     userShow     `cmd:"" help:"Show one user."`
	Suspend  userSuspend  `cmd:"" help:"Suspend a user: none of the user's keys and sessions is accepted until the user is activated."`
	Activate userActivate `cmd:"" help:"Activate a suspended user."`
}

// within names the organisation that a command is about.
type within struct {
	Org int64 `placeholder:"ID" help:"Organisation; needed if there are several."`
}

type userAdd struct {
	Email  string `arg:"" help:"Address of the user."`
	Name   string `placeholder:"NAME" help:"Full name."`
	Admin  bool   `help:"Make the user an admin of the organisation."`
	within `embed:""`
	output `embed:""`
	where  `embed:""`
}

// Run adds the user and prints the user's service key.
func (c *userAdd) Run(ctx context.Context, io streams) error {
	return c.run(ctx, io, c.output, admin.Command{Action: admin.AddUser, Org: c.Org, Email: c.Email, Full: c.Name, Admin: c.Admin})
}

type userList struct {
	within `embed:""`
	output `embed:""`
	where  `embed:""`
}

// Run prints a table of the users.
func (c *userList) Run(ctx context.Context, io streams) error {
	return c.run(ctx, io, c.output, admin.Command{Action: admin.ListUsers, Org: c.Org})
}

// aUser is what a command on one user is given.
type aUser struct {
	User   string `arg:"" help:"Address or id of the user."`
	within `embed:""`
	output `embed:""`
	where  `embed:""`
}

func (c *aUser) does(ctx context.Context, io streams, action string) error {
	return c.run(ctx, io, c.output, named(c.User, admin.Command{Action: action, Org: c.Org}))
}

// named adds a user to a command: an id if the text is a number, else an address.
func named(user string, c admin.Command) admin.Command {
	if id, err := strconv.ParseInt(user, 10, 64); err == nil {
		c.User = id
		return c
	}
	c.Email = user
	return c
}

type (
	userShow     struct{ aUser }
	userSuspend  struct{ aUser }
	userActivate struct{ aUser }
)

// Run prints the user.
func (c *userShow) Run(ctx context.Context, io streams) error { return c.does(ctx, io, admin.ShowUser) }

// Run suspends the user and prints it.
func (c *userSuspend) Run(ctx context.Context, io streams) error {
	return c.does(ctx, io, admin.SuspendUser)
}

// Run activates the user and prints it.
func (c *userActivate) Run(ctx context.Context, io streams) error {
	return c.does(ctx, io, admin.ActivateUser)
}
