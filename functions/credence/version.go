package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
)

// version is the release; a release build sets it.
var version = "0.1.0-dev"

type versionCommand struct {
	output `embed:""`
}

// Run prints the version and, of a build from a checkout, its commit.
func (c versionCommand) Run(_ context.Context, io streams) error {
	if c.JSON {
		return printJSON(io.out, theBuild())
	}
	_, err := fmt.Fprintln(io.out, "credence "+versionText())
	return err
}

// build is what a binary records of itself; all but Version are empty unless it
// was built from a checkout.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitzero"`
	Day      string `json:"day,omitzero"`      // of the commit, YYYY-MM-DD
	Modified bool   `json:"modified,omitzero"` // files differ from the commit
}

func theBuild() build {
	b := build{Version: version}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.time":
				b.Day, _, _ = strings.Cut(s.Value, "T")
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	return b
}

// versionText returns the release and, of a build from a checkout, its commit, the
// day of the commit and whether files were changed since.
func versionText() string {
	b := theBuild()
	if b.Commit == "" {
		return b.Version
	}
	text := fmt.Sprintf("%s (commit %s of %s", b.Version, b.Commit[:min(len(b.Commit), 12)], b.Day)
	if b.Modified {
		text += ", with changes"
	}
	return text + ")"
}
