package boot

import (
	"io"
	"log" //nolint:depguard // to silence it
	"os"
	"strings"
)

// driverSettings are prefixes of environment variables that drivers of probed
// systems read by themselves, and that would override or add to a credential's
// own settings. A proxy would also see a probe pass the guard.
var driverSettings = []string{"PG", "MYSQL", "GOOGLE_", "SNOWFLAKE_", "REDIS", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}

// TameDrivers removes those variables from this process's environment, and
// silences the standard logger: drivers, and net/http towards a server that
// speaks first, write a server's own words there, which may hold a secret. Our
// own lines go elsewhere. It is for the start of a program that probes, before
// any driver is used.
func TameDrivers() {
	log.SetOutput(io.Discard)
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		for _, prefix := range driverSettings {
			if strings.HasPrefix(strings.ToUpper(name), prefix) {
				_ = os.Unsetenv(name) // fails only for a name that Environ cannot give
			}
		}
	}
}
