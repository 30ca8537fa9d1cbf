package credential

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
	"credence/shared/fault"
	"credence/shared/identity"
	"credence/shared/jsontree"
)

// Limits of what a client may send, besides those of the credentials object.
const (
	MaxNameRunes = 255
	MaxTags      = 50
	MaxTagRunes  = 64
)

// Draft is what a client asks for. A nil field was not sent. Texts are clean:
// composed (NFC), within their limits, free of control characters.
type Draft struct {
	Name        *string
	Description *Description
	Type        *string
	Credentials jsontree.Node // as sent; the secret
	Tags        *[]string
	Format      *string
	Owner       *int64
	Org         *int64
	Interval    *string
	IfMatch     Match          // the versions of which one must still be the current one
	Idem        Idempotency    // of a proposal
	Faults      []fault.Detail // what reading the body found wrong already
}

// Match is a condition on a credential's version: that it is one of these. A nil
// Match is no condition; an empty one never holds.
type Match []int64

// holds reports whether a change of this version may go on.
func (m Match) holds(version int64) bool { return m == nil || slices.Contains(m, version) }

// Description is a text or null.
type Description struct{ Text *string }

// prepared is a draft that passed every rule.
type prepared struct {
	Draft
	typ       *connector.Type
	settings  connector.Settings
	canonical jsontext.Value // of the credentials; nil where none were sent
}

// prepare applies every rule to a draft and returns all that is wrong at once.
// current is the type that the credential has, "" for a new one.
func (s Service) prepare(who identity.Caller, d Draft, current string) (prepared, error) {
	f := faults{list: d.Faults}
	p := prepared{Draft: d}
	creating := current == ""
	if d.Name == nil && creating || d.Name != nil && strings.TrimSpace(*d.Name) == "" {
		f.add("/name", fault.DetailRequired, "Give the credential a name.")
	}
	if d.Tags != nil && len(*d.Tags) > MaxTags {
		f.add("/tags", fault.DetailTooLong, fmt.Sprintf("At most %d tags.", MaxTags))
	}
	if creating && d.Owner != nil && *d.Owner != who.User.ID {
		f.add("/owner_id", fault.DetailForbidden, "Whoever makes a credential owns it. Leave owner_id out, and transfer the credential afterwards.")
	}
	if d.Org != nil && *d.Org != who.Org.ID {
		f.add("/org_id", fault.DetailForbidden, "A credential stays in the organisation of the key that makes it. Leave org_id out.")
	}
	if d.Interval != nil && !slices.Contains([]string{string(Off), string(Hourly), string(Daily)}, *d.Interval) {
		f.add("/probe_interval", fault.DetailUnknown, "Use off, hourly or daily.")
	}
	refusal := s.prepareSecret(&p, &f, current)
	switch {
	case refusal != nil:
		refusal.Details = f.list
		return prepared{}, refusal
	case len(f.list) > 0:
		return prepared{}, fault.Invalid(f.list)
	}
	return p, nil
}

// prepareSecret checks the type and the credentials of the draft. Where what is
// wrong has a code of its own, an unknown type or too many bytes, it returns
// that, without its details.
func (s Service) prepareSecret(p *prepared, f *faults, current string) *fault.Error {
	name := current
	if p.Type != nil {
		name = *p.Type
	}
	if name == "" {
		f.add("/credentials_type", fault.DetailRequired, "Say which type of system the credential is for: GET /credential_types lists them.")
	}
	if p.Credentials.Kind() == 0 {
		switch {
		case current == "":
			f.add("/credentials", fault.DetailRequired, "Send the secrets and settings of the type: GET /credential_types/{type} says which.")
		case name != current && name != "":
			f.add("/credentials", fault.DetailRequired, "A new type needs new credentials: send them in the same request.")
		}
	}
	typ, ok := s.Types.Lookup(name)
	if !ok {
		if name == "" {
			return nil
		}
		f.add("/credentials_type", fault.DetailUnknown, s.Types.Unknown(name))
		return fault.New(fault.CodeInvalidConnectorType, "Invalid connector type")
	}
	p.typ = typ
	if p.Credentials.Kind() == 0 || f.has("/credentials") {
		return nil
	}
	settings, details := typ.CheckTree(p.Credentials)
	f.list = append(f.list, details...)
	if len(details) > 0 {
		return nil
	}
	canonical, err := typ.Canonical(p.Credentials)
	switch {
	case errors.Is(err, connector.ErrTooLarge):
		const sentence = "The credentials are larger than 240 KB. Keep certificates and keys, and leave out what signing in does not need."
		f.add("/credentials", fault.DetailTooLong, sentence)
		return fault.New(fault.CodeTooLarge, sentence)
	case err != nil:
		f.add("/credentials", fault.DetailMalformed, "Send credentials as a JSON object.")
		return nil
	}
	p.settings, p.canonical = settings, canonical
	return nil
}

// faults gathers all that is wrong, at most once for each pointer.
type faults struct{ list []fault.Detail }

func (f *faults) has(pointer string) bool {
	return slices.ContainsFunc(f.list, func(d fault.Detail) bool { return d.Pointer == pointer })
}

func (f *faults) add(pointer, code, message string) {
	if !f.has(pointer) {
		f.list = append(f.list, fault.Detail{Pointer: pointer, Code: code, Message: message})
	}
}

// Idempotency lets a client send the same request again without making a second
// credential, copy or version.
type Idempotency = identity.Idempotency
