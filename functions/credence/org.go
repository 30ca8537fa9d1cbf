package main

import (
	"context"

	"credence/shared/api/admin"
)

// orgCommands manage organisations.
type orgCommands struct {
	Add orgAdd `cmd:"" help:"Add an organisation, its first user (an admin) and a service key, which is printed once."`
}

type orgAdd struct {
	Name   string `arg:"" help:"Name of the organisation."`
	Email  string `placeholder:"ADDRESS" help:"Of its first user (admin@DOMAIN)."`
	Domain string `placeholder:"DOMAIN" help:"Of its users' addresses (that of --email, else example.com)."`
	output `embed:""`
	where  `embed:""`
}

// Run adds the organisation and prints the service key of its first user.
func (c *orgAdd) Run(ctx context.Context, io streams) error {
	reply, err := c.do(ctx, admin.Command{Action: admin.AddOrg, Name: c.Name, Email: c.Email, Domain: c.Domain})
	if err != nil {
		return err
	}
	return c.added(io, reply)
}
