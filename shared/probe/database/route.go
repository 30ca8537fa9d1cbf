package database

import (
	"slices"
	"strings"

	"credence/shared/pattern"
	"credence/shared/probe"
)

// Poolers and gateways for many servers choose one by the user name, the host
// or the database. Each words in its own way that there is none, under codes
// that stand for internal errors.
var (
	noUser = []*pattern.Pattern{
		pattern.New(`(?i)\bno (such |matching )?(tenant|user|role|pool|route|credentials)\b`),
		pattern.New(`(?i)\b(tenant|user|username|user name|role|pool|route)\b.{0,60}\b(not found|could not be found|not exist|unknown|unrecognized|not registered|not configured)\b`),
		pattern.New(`(?i)\b(unknown|missing|invalid) (tenant|user|role|username|user name|pool|route)\b`),
	}
	noServer = []*pattern.Pattern{
		pattern.New(`(?i)\b(endpoint|project|cluster|branch|instance)\b.{0,80}\b(not found|could not be found|not exist|not specified|unknown|missing)\b`),
		pattern.New(`(?i)\b(unknown|missing|no such) (endpoint|project|cluster|branch|instance)\b`),
	}
	password = pattern.New(`(?i)passw|pg_hba\.conf`)
)

// Unrouted reports which field a refusal blames whose words are that there is
// no user, tenant or server of a name: the user, the host, or "" for other
// words. What the words quote is of the credential, and is left out.
func Unrouted(words string) probe.Field {
	words = unquoted(words)
	switch {
	case password.MatchString(words):
		return ""
	case match(noUser, words):
		return FieldUser
	case match(noServer, words):
		return FieldHost
	}
	return ""
}

func match(patterns []*pattern.Pattern, words string) bool {
	return slices.ContainsFunc(patterns, func(p *pattern.Pattern) bool { return p.MatchString(words) })
}

// unquoted is a text without its quoted parts.
func unquoted(text string) string {
	var left strings.Builder
	for text != "" {
		i := strings.IndexAny(text, `"'`+"`")
		if i < 0 {
			break
		}
		end := strings.IndexByte(text[i+1:], text[i])
		if end < 0 {
			break
		}
		left.WriteString(text[:i])
		text = text[i+1+end+1:]
	}
	return left.String() + text
}

// NoRoute is the finding for the field that Unrouted returned.
func NoRoute(field probe.Field) probe.Finding {
	if field == FieldHost {
		return probe.Found(probe.CodeSecretNotTested, "A gateway before the server found no server for this address, and did not test the password. Check the host: gateways expect the name of the endpoint or project in it, and some in the user name or the options.").At(FieldHost)
	}
	return probe.Found(probe.CodeSecretNotTested, "The server, or a pooler before it, has no such user, and did not test the password. Check the user name; a gateway for many servers expects the project or server in it, such as postgres.projectname or name@server.").At(FieldUser)
}
