package fault_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"credence/shared/fault"
)

// table reads the rows of the table under a heading of docs/errors.md.
func table(t *testing.T, heading string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/errors.md has no heading %q", heading)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var rows [][]string
	for _, line := range regexp.MustCompile("(?m)^\\| `.*\\|$").FindAllString(rest, -1) {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for n := range cells {
			cells[n] = strings.TrimSpace(cells[n])
		}
		rows = append(rows, cells)
	}
	return rows
}

func TestThePageListsEveryCode(t *testing.T) {
	rows := table(t, "error_code")
	seen := map[fault.Code]bool{}
	for _, cells := range rows {
		code := fault.Code(strings.Trim(cells[0], "`"))
		status, known := fault.Codes[code]
		if !known || seen[code] {
			t.Errorf("the page lists %q, which is no code or there already", code)
		}
		seen[code] = true
		if len(cells) != 4 || cells[1] != strconv.Itoa(status) || cells[2] == "" || cells[3] == "" {
			t.Errorf("%s: the page says %q, the code %d", code, cells[1:], status)
		}
	}
	for code := range fault.Codes {
		if !seen[code] {
			t.Errorf("the page leaves out %q", code)
		}
	}
}

// constants reads the values of the string constants of code.go whose name
// begins with prefix, so that one that is declared cannot be forgotten below.
func constants(t *testing.T, prefix string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && strings.HasPrefix(spec.Names[0].Name, prefix) && len(spec.Values) == 1 {
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				value, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, value)
			}
		}
		return true
	})
	if len(out) == 0 {
		t.Fatalf("code.go declares no %s…", prefix)
	}
	slices.Sort(out)
	return out
}

func TestEveryCodeHasAStatus(t *testing.T) {
	var listed []string
	for code, status := range fault.Codes {
		listed = append(listed, string(code))
		if http.StatusText(status) == "" || status < 400 || status == 422 || status == 502 || status == 504 {
			t.Errorf("%s has the status %d", code, status)
		}
		if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(string(code)) {
			t.Errorf("%q is not in snake case", code)
		}
	}
	slices.Sort(listed)
	if want := constants(t, "Code"); !slices.Equal(listed, want) {
		t.Errorf("Codes has %q, declared are %q", listed, want)
	}
}

func TestThePageListsEveryDetail(t *testing.T) {
	var listed []string
	for _, cells := range table(t, "The code of a detail") {
		listed = append(listed, strings.Trim(cells[0], "`"))
	}
	slices.Sort(listed)
	if want := constants(t, "Detail"); !slices.Equal(listed, want) {
		t.Errorf("the page lists %q, declared are %q", listed, want)
	}
}

func TestHelpersLeaveTheOriginalAlone(t *testing.T) {
	base := fault.New(fault.CodeConflict, "Again.")
	cause := errors.New("the cause")
	e := base.Because(cause).On("Thing", 7).After(time.Second)
	if base.Unwrap() != nil || base.ResourceType != "" || base.RetryAfter != 0 {
		t.Errorf("the original became %+v", base)
	}
	if !errors.Is(e, cause) || e.ResourceType != "Thing" || e.ResourceID != 7 || e.RetryAfter != time.Second || e.Code != fault.CodeConflict {
		t.Errorf("made %+v", e)
	}
	if text := fmt.Sprintf("%v %s", e, e); strings.Contains(text, "the cause") || !strings.Contains(text, "conflict: Again.") {
		t.Errorf("prints as %s", text)
	}
	wrapped := fmt.Errorf("doing: %w", e)
	if !fault.Is(wrapped, fault.CodeConflict) || fault.Is(wrapped, fault.CodeInternal) || fault.Is(cause, fault.CodeConflict) || fault.Is(nil, fault.CodeConflict) {
		t.Error("Is tells codes apart wrongly")
	}
}

func TestInvalid(t *testing.T) {
	if err := fault.Invalid(nil); err != nil {
		t.Errorf("nothing wrong is %v", err)
	}
	one := []fault.Detail{{Pointer: "/a", Code: fault.DetailRequired, Message: "A is required."}}
	for _, details := range [][]fault.Detail{one, append(one, one...)} {
		var e *fault.Error
		if err := fault.Invalid(details); !errors.As(err, &e) || e.Code != fault.CodeInvalidRequest || len(e.Details) != len(details) {
			t.Fatalf("made %v", err)
		}
		if (e.Message == one[0].Message) != (len(details) == 1) {
			t.Errorf("%d details say %q", len(details), e.Message)
		}
	}
}
