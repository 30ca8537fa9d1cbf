// Package builtin is the list of probers. Only what probes imports it: it
// links the drivers.
package builtin

import (
	"credence/shared/probe"
	gcsprobe "credence/shared/probe/gcs"
	httpprobe "credence/shared/probe/http"
	"credence/shared/probe/mysql"
	"credence/shared/probe/postgres"
	s3probe "credence/shared/probe/s3"
)

// Probers is the prober of each credentials_type that has one, one line a
// type.
func Probers() map[string]probe.Prober {
	return map[string]probe.Prober{
		"gcs":      gcsprobe.Prober{},
		"mysql":    mysql.Prober{},
		"postgres": postgres.Prober{},
		"rest":     httpprobe.Prober{},
		"s3":       s3probe.Prober{},
	}
}
