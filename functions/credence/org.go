package main

import (
	"context"

	"credence/shared/api/admin"
)

// orgCommands manage organisations.
type orgCommands struct {
	Add      orgAdd      `cmd:"" help:"Add an organisation, its first user (an admin) and a service key, which is printed once."`
	List     orgList     `cmd:"" help:"List every organisation."`
	Show     orgShow     `cmd:"" help:"Show one organisation."`
	Suspend  orgSuspend  `cmd:"" help:"Suspend an organisation: none of its keys and sessions is accepted until it is activated."`
	Activate orgActivate `cmd:"" help:"Activate a suspended organisation."`
	Set      orgSet      `cmd:"" help:"Change the settings of an organisation."`
}

type orgAdd struct {
	Name    string `arg:"" help:"Name of the organisation."`
	Email   string `placeholder:"ADDRESS" help:"Of its first user; admin@DOMAIN if left out."`
	Domain  string `placeholder:"DOMAIN" help:"Of its users' addresses; that of --email, else example.com, if left out."`
	Another bool   `help:"Add the organisation although one of the same name exists."`
	output  `embed:""`
	where   `embed:""`
}

// Run adds the organisation and prints the service key of its first user.
func (c *orgAdd) Run(ctx context.Context, io streams) error {
	return c.run(ctx, io, c.output, admin.Command{Action: admin.AddOrg, Name: c.Name, Email: c.Email, Domain: c.Domain, Another: c.Another})
}

type orgList struct {
	output `embed:""`
	where  `embed:""`
}

// Run prints a table of the organisations.
func (c *orgList) Run(ctx context.Context, io streams) error {
	return c.run(ctx, io, c.output, admin.Command{Action: admin.ListOrgs})
}

// anOrg is what a command on one organisation is given.
type anOrg struct {
	Org    int64 `arg:"" help:"Id of the organisation."`
	output `embed:""`
	where  `embed:""`
}

func (c *anOrg) does(ctx context.Context, io streams, action string) error {
	return c.run(ctx, io, c.output, admin.Command{Action: action, Org: c.Org})
}

type orgSet struct {
	anOrg
	AuditDays int `required:"" placeholder:"DAYS" help:"How long audit entries are kept that are no changes of a credential, 1 to 36500 days; changes are always kept."`
}

// Run changes the settings and prints the organisation.
func (c *orgSet) Run(ctx context.Context, io streams) error {
	if c.AuditDays < 1 || c.AuditDays > 36500 {
		return usage("org set", "--audit-days must be 1 to 36500 days.")
	}
	return c.run(ctx, io, c.output, admin.Command{Action: admin.SetOrg, Org: c.Org, AuditDays: c.AuditDays})
}

type (
	orgShow     struct{ anOrg }
	orgSuspend  struct{ anOrg }
	orgActivate struct{ anOrg }
)

// Run prints the organisation.
func (c *orgShow) Run(ctx context.Context, io streams) error { return c.does(ctx, io, admin.ShowOrg) }

// Run suspends the organisation and prints it.
func (c *orgSuspend) Run(ctx context.Context, io streams) error {
	return c.does(ctx, io, admin.SuspendOrg)
}

// Run activates the organisation and prints it.
func (c *orgActivate) Run(ctx context.Context, io streams) error {
	return c.does(ctx, io, admin.ActivateOrg)
}
