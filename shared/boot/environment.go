package boot

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Environment reads the variables that a function is configured with and
// remembers those that are missing, so that a wrong deployment is told all of
// its faults at once. The zero value is ready to use, by one goroutine.
type Environment struct{ faults []error }

// Required returns the value of a variable that must be set and not empty.
func (e *Environment) Required(name string) string {
	value := strings.TrimSpace(os.Getenv(name))
	if value == "" {
		e.faults = append(e.faults, fmt.Errorf("%s is not set", name))
	}
	return value
}

// Optional returns the value of a variable, "" where it is not set.
func (e *Environment) Optional(name string) string { return strings.TrimSpace(os.Getenv(name)) }

// List returns the parts of an optional variable between commas, without
// those that are empty.
func (e *Environment) List(name string) []string {
	var list []string
	for part := range strings.SplitSeq(os.Getenv(name), ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// Err is nil if every required variable was there, else one error that names
// each that was not.
func (e *Environment) Err() error {
	if len(e.faults) == 0 {
		return nil
	}
	return fmt.Errorf("reading the environment: %w", errors.Join(e.faults...))
}
