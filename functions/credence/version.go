package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
)

// version is the release; a release build sets it.
var version = "0.1.0-dev"

type versionCommand struct{}

// Run prints the version and, of a build from a checkout, its commit.
func (versionCommand) Run(_ context.Context, io streams) error {
	_, err := fmt.Fprintln(io.out, "credence "+versionText())
	return err
}

// versionText returns the release and, of a build from a checkout, its commit, the
// day of the commit and whether files were changed since.
func versionText() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	if commit == "" {
		return version
	}
	day, _, _ := strings.Cut(settings["vcs.time"], "T")
	text := fmt.Sprintf("%s (commit %s of %s", version, commit[:min(len(commit), 12)], day)
	if settings["vcs.modified"] == "true" {
		text += ", with changes"
	}
	return text + ")"
}
