package boot_test

import (
	"log" //nolint:depguard // to silence it
	"os"
	"strings"
	"testing"

	"credence/shared/boot"
)

func TestTameDriversForgetsTheirSettings(t *testing.T) {
	for name, gone := range map[string]bool{
		"PGHOST": true, "PGSERVICEFILE": true, "MYSQL_PWD": true, "GOOGLE_APPLICATION_CREDENTIALS": true,
		"https_proxy": true, "ALL_PROXY": true, "SNOWFLAKE_HOME": true, "REDIS_URL": true,
		"AWS_REGION": false, "HOME_OF_PG": false,
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "x")
			boot.TameDrivers()
			if _, there := os.LookupEnv(name); there == gone {
				t.Errorf("%s: there %v", name, there)
			}
		})
	}
}

func TestTameDriversSilencesTheStandardLogger(t *testing.T) {
	before := log.Writer()
	t.Cleanup(func() { log.SetOutput(before) })
	var heard strings.Builder
	log.SetOutput(&heard)
	boot.TameDrivers()
	log.Print("the words of a server")
	if heard.Len() > 0 {
		t.Errorf("%q is logged", heard.String())
	}
}
