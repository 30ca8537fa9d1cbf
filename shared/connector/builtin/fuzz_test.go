package builtin_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"credence/shared/connector"
	"credence/shared/fault"
)

// FuzzCheck checks any bytes as credentials of every type. Its seeds are the
// examples, and objects that are none under testdata/hostile.
func FuzzCheck(f *testing.F) {
	types := registry(f).All()
	for _, typ := range types {
		f.Add([]byte(typ.Example))
		for _, m := range typ.Methods {
			f.Add([]byte(m.Example))
		}
	}
	files, err := filepath.Glob("testdata/hostile/*")
	if err != nil || len(files) == 0 || len(types) == 0 {
		f.Fatalf("%d seeds and %d types, %v", len(files), len(types), err)
	}
	for _, file := range files {
		seed, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		for _, typ := range types {
			checkAny(t, typ, sent)
		}
	})
}

// checkAny holds Check to what is true of every input.
func checkAny(t *testing.T, typ *connector.Type, sent []byte) {
	settings, faults := typ.Check(sent)
	if again, same := typ.Check(sent); !slices.Equal(faults, same) || again.Principal() != settings.Principal() {
		t.Fatalf("%s: %q is checked otherwise the second time", typ.Name, sent)
	}
	codes := []string{
		fault.DetailRequired, fault.DetailWrongKind, fault.DetailUnknown, fault.DetailTooLong, fault.DetailOutOfRange,
		fault.DetailMalformed, fault.DetailConflict, fault.DetailForbidden, fault.DetailPlaceholder,
	}
	for _, d := range faults {
		name, inside := strings.CutPrefix(d.Pointer, connector.Root+"/")
		if !slices.Contains(codes, d.Code) || d.Message == "" || d.Pointer != connector.Root && (!inside || !declares(typ, name)) {
			t.Fatalf("%s: %q has the fault %+v", typ.Name, sent, d)
		}
	}
	if len(faults) > 0 {
		return
	}
	sealed, err := sealedForm(typ, sent)
	if errors.Is(err, connector.ErrTooLarge) {
		return
	}
	if err != nil {
		t.Fatalf("%s: %q is accepted and cannot be sealed: %v", typ.Name, sent, err)
	}
	opened, faults := typ.Check(sealed)
	if len(faults) > 0 || string(opened.Public()) != string(settings.Public()) || opened.Method() != settings.Method() ||
		opened.Principal() != settings.Principal() || opened.Unknown() != settings.Unknown() || !slices.Equal(opened.Known(), settings.Known()) {
		t.Fatalf("%s: %q means something else once sealed: %v", typ.Name, sent, faults)
	}
}

func declares(typ *connector.Type, name string) bool {
	return slices.ContainsFunc(typ.Fields, func(f connector.Field) bool {
		return f.Name == name || slices.Contains(f.Also, name) || slices.Contains(f.Encoded, name)
	})
}
