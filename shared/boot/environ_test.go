package boot_test

import (
	"os"
	"testing"

	"credence/shared/boot"
)

func TestForgetDriverSettings(t *testing.T) {
	for name, gone := range map[string]bool{
		"PGHOST": true, "PGSERVICEFILE": true, "MYSQL_PWD": true, "GOOGLE_APPLICATION_CREDENTIALS": true,
		"https_proxy": true, "ALL_PROXY": true, "SNOWFLAKE_HOME": true, "REDIS_URL": true,
		"AWS_REGION": false, "HOME_OF_PG": false,
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "x")
			boot.ForgetDriverSettings()
			if _, there := os.LookupEnv(name); there == gone {
				t.Errorf("%s: there %v", name, there)
			}
		})
	}
}
