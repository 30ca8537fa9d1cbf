package boot

import (
	"os"
	"strings"
)

// driverSettings are prefixes of environment variables that drivers of probed
// systems read by themselves, and that would override or add to a credential's
// own settings. A proxy would also see a probe pass the guard.
var driverSettings = []string{"PG", "MYSQL", "GOOGLE_", "SNOWFLAKE_", "REDIS", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}

// ForgetDriverSettings removes those variables from this process's environment.
// It is for the start of a program that probes, before any driver is used.
func ForgetDriverSettings() {
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		for _, prefix := range driverSettings {
			if strings.HasPrefix(strings.ToUpper(name), prefix) {
				_ = os.Unsetenv(name) // fails only for a name that Environ cannot give
			}
		}
	}
}
