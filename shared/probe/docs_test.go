package probe_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"credence/shared/probe"
	"credence/shared/probe/database"
	"credence/shared/probe/netguard"
)

// docs/probes.md explains the codes that there are, with their verdicts, in
// their order.
func TestDocsExplainEveryCode(t *testing.T) {
	text, err := os.ReadFile("../../docs/probes.md")
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile("(?m)^### `([A-Z_]+)`\n\n(?:\\*([a-z, ]+)\\.\\* )?\\S.*\n\nFix: \\S")
	var codes, warnings []probe.Code
	for _, m := range entry.FindAllStringSubmatch(string(text), -1) {
		code := probe.Code(m[1])
		if m[2] == "" {
			warnings = append(warnings, code)
			continue
		}
		codes = append(codes, code)
		want := string(code.Verdict())
		if code.Stop() {
			want += ", stops"
		}
		if code.Retryable() {
			want += ", retries"
		}
		if m[2] != want {
			t.Errorf("%s is told as %q, it is %q", code, m[2], want)
		}
	}
	if !slices.Equal(codes, probe.Codes()) {
		t.Errorf("the page explains\n%v, the list is\n%v", codes, probe.Codes())
	}
	if !slices.Equal(warnings, probe.WarningCodes()) {
		t.Errorf("the page explains the warnings\n%v, the list is\n%v", warnings, probe.WarningCodes())
	}
	if n := strings.Count(string(text), "\n### "); n != len(codes)+len(warnings) {
		t.Errorf("%d headings, %d entries of the right form", n, len(codes)+len(warnings))
	}
}

// What the pages and the OpenAPI document say of limits is what holds.
func TestDocsTellTheLimits(t *testing.T) {
	thousands := func(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }
	for path, phrases := range map[string][]string{
		"../../docs/probes.md": {
			fmt.Sprintf("dials at most %d times, %d\naddresses, reads at most %d MiB and writes at most %d KiB", netguard.MaxDials, netguard.MaxAddresses, netguard.MaxRead>>20, netguard.MaxWritten>>10),
			fmt.Sprintf("| a tree | %d levels, %s things, columns included; names, types and defaults of %d KiB", probe.MaxDepth, thousands(probe.MaxNodes), database.MaxText>>10),
			fmt.Sprintf("of %d KiB, %d KiB in all |\n| a table", database.MaxText>>10, database.MaxRead>>10),
			fmt.Sprintf("| a table | %d rows", probe.MaxSampleRows),
			fmt.Sprintf("values of %d KiB", probe.MaxCellBytes>>10),
			fmt.Sprintf("A sample is the first %d KiB of an object", probe.MaxSampleBytes>>10),
		},
		"../../README.md": {
			fmt.Sprintf("| a probe | %d seconds,", probe.Budget/time.Second),
			fmt.Sprintf("| %d levels, %s things · %d KB of a file, %d rows of a table |", probe.MaxDepth, thousands(probe.MaxNodes), probe.MaxSampleBytes>>10, probe.MaxSampleRows),
		},
		"../api/openapi/source/4-probes.yaml": {
			fmt.Sprintf("minimum: 1, maximum: %d, pattern: '^([1-9]|%d)$'", probe.MaxDepth, probe.MaxDepth),
			fmt.Sprintf("At most %d KiB of a file, or %d rows of a table.", probe.MaxSampleBytes>>10, probe.MaxSampleRows),
		},
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, phrase := range phrases {
			if !strings.Contains(string(text), phrase) {
				t.Errorf("%s does not say %q", path, phrase)
			}
		}
	}
}

// The list itself: what the verdicts are is fixed, and no code is both a stop
// and a retry.
func TestCodes(t *testing.T) {
	for verdict, codes := range map[probe.Verdict][]probe.Code{
		probe.Valid:   {probe.CodeOK},
		probe.Invalid: {probe.CodeAuthRejected, probe.CodeAuthExpired, probe.CodeAuthRevoked, probe.CodeAuthDisabled},
	} {
		for _, c := range probe.Codes() {
			if (c.Verdict() == verdict) != slices.Contains(codes, c) {
				t.Errorf("%s is %s", c, c.Verdict())
			}
		}
	}
	stops := []probe.Code{
		"SSH_HOSTKEY_UNKNOWN", "SSH_HOSTKEY_CHANGED", "AUTH_REJECTED", "AUTH_EXPIRED", "AUTH_REVOKED", "AUTH_DISABLED",
		"AUTH_LOCKED", "AUTH_MFA_REQUIRED", "AUTH_METHOD_UNSUPPORTED", "AUTH_WORK_LIMIT", "SOURCE_IP_DENIED", "HOST_BLOCKED", "TOKEN_REFUSED", "CLIENT_CERTIFICATE_REQUIRED",
	}
	for _, c := range probe.Codes() {
		if c.Stop() != slices.Contains(stops, c) {
			t.Errorf("%s: stop is %v", c, c.Stop())
		}
		if c.Stop() && c.Retryable() {
			t.Errorf("%s stops and is retried", c)
		}
	}
	if none := probe.Code("NONSENSE"); none.Known() || none.Verdict() != probe.Unknown || none.Stop() || none.Retryable() {
		t.Error("a code that is none says something")
	}
}
