package conntest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"credence/shared/connector"
)

// declared holds the type to what a registry asks of it, and its texts to what
// a form needs.
func declared(s *subject) (found []string) {
	if _, err := connector.NewRegistry(s.typ); err != nil {
		found = append(found, err.Error())
	}
	titles := map[string]string{}
	for _, f := range s.typ.Fields {
		if other, twice := titles[f.Title]; twice {
			found = append(found, fmt.Sprintf("%s and %s are both titled %q", other, f.Name, f.Title))
		}
		titles[f.Title] = f.Name
		if f.Help != "" && !strings.HasSuffix(f.Help, ".") {
			found = append(found, fmt.Sprintf("the help of %s is no sentence", f.Name))
		}
	}
	if !strings.HasSuffix(s.typ.Help, ".") {
		found = append(found, "the help of the type is no sentence")
	}
	return found
}

var (
	// secretName are names of fields that hold a secret, wherever they occur.
	secretName = regexp.MustCompile(`(?i)(password|passphrase|secret|secret_key|access_token|refresh_token|session_token|access\.token|session\.token|private\.?key|json_creds|credentials\.json|p12|api_key|connection\.string|sas\.token|auth\.value)$`)
	// destinationName are names of fields that decide where a secret goes, or
	// how well that is verified.
	destinationName = regexp.MustCompile(`(?i)(^|[._])(host|hostname|port|url|uri|endpoint|server|servers|bucket|region|account|account_id|account\.name|sslmode|ca_certificate|validation|host_key|database|database_name|project_id)$`)
	// notDestination are names that only look so.
	notDestination = regexp.MustCompile(`^(skip\.validation|is_service_account)$`)
)

// marked looks for fields that every reader would call a secret or a
// destination and that are not marked so: nothing else keeps the first from
// being shown and the second from being forgotten.
func marked(s *subject) (found []string) {
	for _, f := range s.typ.Fields {
		for _, name := range names(f) {
			if secretName.MatchString(name) && !f.Secret && f.Kind != connector.Bool {
				found = append(found, fmt.Sprintf("%s is named like a secret and not marked Secret", name))
			}
			if destinationName.MatchString(name) && !notDestination.MatchString(name) && !f.Destination {
				found = append(found, fmt.Sprintf("%s is named like a destination and not marked Destination", name))
			}
		}
		if f.Secret && f.Public {
			found = append(found, fmt.Sprintf("%s is secret and public", f.Name))
		}
		if f.Public && f.Kind == connector.Object {
			found = append(found, fmt.Sprintf("%s is public and an object, which may have any member", f.Name))
		}
	}
	if !slices.ContainsFunc(s.typ.Fields, func(f connector.Field) bool { return f.Secret }) && len(s.typ.Fields) > 0 {
		found = append(found, "no field is secret: then there is nothing to keep")
	}
	return found
}

// accepted holds each example to be taken as its own way, and each way to have
// one.
func accepted(s *subject) (found []string) {
	shown := map[string]bool{}
	for _, one := range s.samples {
		settings, faults := s.check(one.members)
		if len(faults) > 0 {
			found = append(found, fmt.Sprintf("the example of %s is refused: %s", one.label, brief(faults)))
			continue
		}
		if one.way != "" && settings.Method() != one.way {
			found = append(found, fmt.Sprintf("the example of %s is taken as %q", one.label, settings.Method()))
		}
		shown[settings.Method()] = true
		if n := settings.Unknown(); n > 0 {
			found = append(found, fmt.Sprintf("the example of %s holds %d keys that the type does not know", one.label, n))
		}
		sealed, err := s.seal(one.members)
		if err != nil {
			found = append(found, fmt.Sprintf("the example of %s cannot be sealed: %v", one.label, err))
			continue
		}
		if _, faults := s.checker(sealed); len(faults) > 0 {
			found = append(found, fmt.Sprintf("the example of %s is refused in the form it is sealed in: %s", one.label, brief(faults)))
		}
	}
	for _, m := range s.typ.Methods {
		if !shown[m.Name] {
			found = append(found, fmt.Sprintf("no example shows the way %q", m.Name))
		}
	}
	return found
}
