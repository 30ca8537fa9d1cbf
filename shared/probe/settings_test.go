package probe_test

import (
	"credence/shared/connector"
	"credence/shared/probe"
)

// What a connector checks is what a prober reads.
var _ probe.Settings = connector.Settings{}
