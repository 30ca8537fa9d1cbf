package main

import (
	"context"
	"fmt"
	"runtime/debug"
)

// version is the release; a release build sets it.
var version = "0.1.0-dev"

type versionCommand struct{}

// Run prints the version and, of a build from a checkout, its commit.
func (versionCommand) Run(_ context.Context, io streams) error {
	_, err := fmt.Fprintln(io.out, "credence "+versionText())
	return err
}

func versionText() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return version + " (" + s.Value[:min(len(s.Value), 12)] + ")"
		}
	}
	return version
}
