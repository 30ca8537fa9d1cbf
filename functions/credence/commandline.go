package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"credence/shared/nearest"
	"credence/shared/pattern"
)

// commandLine is the grammar of the program: a field for each command, whose
// type has a method Run(context.Context, streams) error. Each flag can also be
// set in the environment, as CREDENCE_ and its name: CREDENCE_TLS_CERT is
// --tls-cert. A flag on the command line takes precedence.
type commandLine struct {
	Serve   serveCommand   `cmd:"" default:"withargs" help:"Serve every route on this machine. The default command."`
	Org     orgCommands    `cmd:"" help:"Manage organisations."`
	User    userCommands   `cmd:"" help:"Manage the users of an organisation."`
	Key     keyCommands    `cmd:"" help:"Manage service keys."`
	Backup  backupCommand  `cmd:"" help:"Write a consistent copy of the store, while the server runs or not."`
	Restore restoreCommand `cmd:"" help:"Put a backup into a folder that has no store."`
	Check   checkCommand   `cmd:"" help:"Verify the store or a backup, and list each fault with its remedy."`
	Compact compactCommand `cmd:"" help:"Give back the space that the store's file does not use; the server must not run."`
	Rekey   rekeyCommand   `cmd:"" help:"Move the store to another key file, while the server runs or not."`
	Audit   auditCommand   `cmd:"" help:"Print an organisation's audit log: sign-ins, denials, keys and users."`
	Version versionCommand `cmd:"" help:"Print the version."`

	ShowVersion bool `name:"version" help:"Print the version."`
}

// streams is where a command writes: its result to out, everything else to err.
type streams struct{ out, err io.Writer }

const description = `Credence keeps the secrets of data pipelines, and proves that they work.

Without a command it serves. The commands that manage organisations, users and keys work while the server runs and
while it does not.`

// otherFlags and otherCommands are words of similar programs that the distance
// between names does not lead to the right one.
var (
	otherFlags = map[string]string{
		"--port": "--addr", "--listen": "--addr", "--bind": "--addr", "--host": "--addr", "-p": "--addr", "-l": "--addr",
		"--dir": "--data", "--folder": "--data", "--path": "--data", "--db": "--data", "--database": "--data", "-d": "--data",
		"--cert": "--tls-cert", "--certificate": "--tls-cert", "--key": "--tls-key", "--endpoint": "--dynamodb-endpoint",
		"--tables": "--dynamodb-tables", "--backend": "--store", "--engine": "--store", "--mail": "--email",
		"--organisation": "--org", "--organization": "--org", "--tenant": "--org", "--format": "--json", "--output": "--json",
		"-o": "--json", "-v": "--version", "-V": "--version", "-h": "--help", "-?": "--help",
	}
	otherCommands = map[string]string{
		"start": "serve", "run": "serve", "server": "serve", "up": "serve",
		"organisation": "org", "organization": "org", "orgs": "org", "tenant": "org", "users": "user", "keys": "key", "token": "key",
		"create": "add", "new": "add", "make": "add", "ls": "list", "all": "list", "get": "show", "describe": "show", "info": "show",
		"remove": "delete", "rm": "delete", "revoke": "delete", "disable": "suspend", "block": "suspend", "stop": "pause",
		"enable": "activate", "resume": "activate", "unpause": "activate", "renew": "rotate",
		"dump": "backup", "save": "backup", "load": "restore", "verify": "check", "fsck": "check", "doctor": "check",
		"vacuum": "compact", "gc": "compact", "rewrap": "rekey", "log": "audit", "ver": "version",
	}
)

// usageError is a command line that was rejected: every problem that was found,
// and the command that --help is suggested for.
type usageError struct {
	command  string // with the program's name
	summary  string // of its arguments; may be empty
	problems []string
}

func (e *usageError) Error() string { return strings.Join(e.problems, "; ") }

// usage returns the rejection of a command's arguments, nil without problems.
func usage(command string, problems ...string) error {
	if len(problems) == 0 {
		return nil
	}
	return &usageError{command: "credence " + command, problems: problems}
}

func newParser(line *commandLine, io streams, exit func(int)) (*kong.Kong, error) {
	return kong.New(line, kong.Name("credence"), kong.Description(description), kong.Resolvers(kong.ResolverFunc(fromEnvironment)),
		kong.Writers(io.out, io.err), kong.Exit(exit), kong.ValueFormatter(describe),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoAppDescFormat: true, WrapUpperBound: 110}),
		kong.PostBuild(func(k *kong.Kong) error { k.Model.HelpFlag.Help = "Print this help."; return nil }))
}

func execute(ctx context.Context, args []string, io streams) error {
	var line commandLine
	ended := false // by a flag that prints and does no more, such as --help
	parser, err := newParser(&line, io, func(int) { ended = true })
	if err != nil {
		return fmt.Errorf("building the command line: %w", err)
	}
	if len(args) > 0 && args[0] == "help" {
		args = append(args[1:len(args):len(args)], "--help")
	}
	command, err := parser.Parse(joinNegative(args))
	switch {
	case ended:
		return nil
	case err != nil:
		return rejected(err, args)
	case line.ShowVersion:
		return line.Version.Run(ctx, io)
	}
	for _, problem := range strangeVariables(parser.Model.Node, os.Environ()) {
		_, _ = fmt.Fprintln(io.err, "credence: "+problem)
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(io)
}

// joinNegative writes a negative number behind a flag as --flag=-1, so that the command
// rejects it with the range of the value: alone it is taken for a flag.
func joinNegative(args []string) []string {
	var joined []string
	for _, a := range args {
		if n := len(joined) - 1; n >= 0 && negative.MatchString(a) && strings.HasPrefix(joined[n], "--") && !strings.Contains(joined[n], "=") {
			joined[n] += "=" + a
			continue
		}
		joined = append(joined, a)
	}
	return joined
}

// variable returns the environment variable of a flag, "" for a flag that has none.
func variable(flag string) string {
	if flag == "help" || flag == "version" {
		return ""
	}
	return "CREDENCE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment reads a flag that is not on the command line. An empty
// variable counts as unset. It implements kong.ResolverFunc.
func fromEnvironment(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if value := os.Getenv(variable(flag.Name)); value != "" {
		return value, nil
	}
	return nil, nil //nolint:nilnil // no value and no error: the default applies
}

// strangeVariables returns a sentence for each environment variable that is near
// to that of a flag and that no flag of any command reads.
func strangeVariables(program *kong.Node, environment []string) []string {
	known := map[string]string{} // flags by their variables
	var collect func(n *kong.Node)
	collect = func(n *kong.Node) {
		for _, f := range n.Flags {
			known[variable(f.Name)] = "--" + f.Name
		}
		for _, child := range n.Children {
			collect(child)
		}
	}
	collect(program)
	flags := slices.Sorted(maps.Values(known))
	var problems []string
	for _, e := range environment {
		name, _, _ := strings.Cut(e, "=")
		flag, ours := strings.CutPrefix(name, "CREDENCE_")
		if _, ok := known[name]; ok || !ours {
			continue
		}
		flag = "--" + strings.ToLower(strings.ReplaceAll(flag, "_", "-"))
		if near := nearest.To(flag, flags, otherFlags); near != "" {
			problems = append(problems, fmt.Sprintf("no flag reads %s.", name)+nearest.Hint(variable(strings.TrimPrefix(near, "--"))))
		}
	}
	return problems
}

// describe adds the default and the environment variable to the help of a flag.
func describe(v *kong.Value) string {
	var more []string
	if v.HasDefault && !v.IsBool() {
		more = append(more, v.Default)
	}
	if v.Flag != nil {
		if name := variable(v.Name); name != "" {
			more = append(more, "$"+name)
		}
	}
	if len(more) == 0 {
		return v.Help
	}
	return v.Help + " [" + strings.Join(more, ", ") + "]"
}

// The forms of kong's errors that a suggestion is made for, or another sentence.
var (
	unknownFlag    = pattern.New(`^unknown flag (-[^\s,]+)`)
	unknownCommand = pattern.New(`^unexpected argument ([^\s,]+)`)
	noArgument     = pattern.New(`^expected "(<.+>)"$`)
	noFlag         = pattern.New(`^missing flags: (.+)$`)
	noNumber       = pattern.New(`^(\S+): expected a valid \d+ bit u?int but got (.+)$`)
	negative       = pattern.New(`^-\d+$`)
	flagProblem    = pattern.New(`^--([a-z-]+)[: ]`)
)

// rejected turns an error of the parser into a usageError that names the
// nearest flag or command.
func rejected(err error, args []string) error {
	var parse *kong.ParseError
	if !errors.As(err, &parse) {
		return fmt.Errorf("reading the command line: %w", err)
	}
	node := selected(parse.Context, args)
	u := &usageError{command: node.FullPath(), summary: strings.TrimSpace(node.Summary()), problems: []string{reworded(err.Error())}}
	if m := unknownFlag.FindStringSubmatch(err.Error()); m != nil {
		u.problems[0] = fmt.Sprintf("there is no flag %s.", m[1]) + flagHint(node, m[1])
	}
	if m := unknownCommand.FindStringSubmatch(err.Error()); m != nil {
		u.problems[0] = unexpected(node, m[1])
	}
	return u
}

// flagHint returns the sentence that follows an unknown flag: the argument of that
// name, or the nearest flag. "" if there is neither.
func flagHint(node *kong.Node, flag string) string {
	for _, argument := range node.Positional {
		if name := strings.TrimLeft(flag, "-"); name == argument.Name || name == "id" {
			return fmt.Sprintf(" Give the %s without a flag, as <%s> in the usage.", argument.Name, argument.Name)
		}
	}
	return nearest.Hint(nearest.To(flag, flagNames(node), otherFlags))
}

// blame names the environment variable, and not the flag, in each problem with a
// value that came from the environment.
func (e *usageError) blame(args []string) {
	for n, problem := range e.problems {
		m := flagProblem.FindStringSubmatch(problem)
		if m == nil || os.Getenv(variable(m[1])) == "" || slices.ContainsFunc(args, func(a string) bool {
			return a == "--"+m[1] || strings.HasPrefix(a, "--"+m[1]+"=")
		}) {
			continue
		}
		e.problems[n] = variable(m[1]) + strings.TrimPrefix(problem, "--"+m[1])
	}
}

// reworded returns a parser's error as the problem, then the fix.
func reworded(problem string) string {
	if m := noArgument.FindStringSubmatch(problem); m != nil {
		return m[1] + " is missing. Add it to the command."
	}
	if m := noFlag.FindStringSubmatch(problem); m != nil {
		return m[1] + " is missing. Add it to the command."
	}
	if m := noNumber.FindStringSubmatch(problem); m != nil {
		return fmt.Sprintf("%s: %s is not a whole number. Give one, such as an id that a list command prints.", m[1], m[2])
	}
	return strings.TrimRight(problem, ".?") + "."
}

// flagNames returns the flags that a command takes, those of the default command
// for the program itself.
func flagNames(node *kong.Node) []string {
	if node.DefaultCmd != nil {
		node = node.DefaultCmd
	}
	var names []string
	for _, flags := range node.AllFlags(true) {
		for _, f := range flags {
			names = append(names, "--"+f.Name)
		}
	}
	return names
}

func unexpected(node *kong.Node, word string) string {
	var known []string
	for _, child := range node.Children {
		if !child.Hidden {
			known = append(known, child.Name)
		}
	}
	if len(known) == 0 {
		return fmt.Sprintf("unexpected argument %q. Put a value of several words in quotation marks.", word)
	}
	near := nearest.To(word, known, otherCommands)
	if near == "" {
		return fmt.Sprintf("there is no command %q. The commands are: %s.", word, strings.Join(known, ", "))
	}
	return fmt.Sprintf("there is no command %q.", word) + nearest.Hint(near)
}

// selected returns the command that a rejected command line is about: the
// program itself when its first word is no command.
func selected(c *kong.Context, args []string) *kong.Node {
	node := c.Selected()
	if node == nil || len(args) > 0 && node == c.Model.DefaultCmd && args[0] != node.Name && !strings.HasPrefix(args[0], "-") {
		return c.Model.Node
	}
	return node
}
