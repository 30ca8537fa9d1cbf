package connector

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/fault"
	"credence/shared/secret"
)

// Check validates a credentials object. It returns the settings under their
// canonical names, or every fault at once, with pointers that start at Root and
// never the value sent. Keys that the type does not declare are kept and
// counted. A null counts as not sent.
func (t *Type) Check(credentials jsontext.Value) (Settings, []fault.Detail) {
	if faults := CheckShape(credentials); len(faults) > 0 {
		return Settings{}, faults
	}
	c := check{typ: t, settings: Settings{typ: t, values: map[string]setting{}}}
	if err := json.Unmarshal(credentials, &c.sent); err != nil {
		return Settings{}, []fault.Detail{{Pointer: Root, Code: fault.DetailMalformed, Message: "Send credentials as one well-formed JSON object."}}
	}
	c.read()
	c.choose()
	for _, name := range t.Needs {
		c.need(name)
	}
	if len(c.faults) > 0 {
		return Settings{}, c.faults
	}
	return c.settings, nil
}

// check is one Check under way.
type check struct {
	typ      *Type
	sent     map[string]jsontext.Value
	settings Settings
	faults   []fault.Detail
	broken   []string // canonical names that were sent, but wrongly
}

func pointer(name string) string {
	return Root + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func (c *check) add(name, code, message string) {
	c.faults = append(c.faults, fault.Detail{Pointer: pointer(name), Code: code, Message: message})
}

// read takes each declared field under whichever of its names was sent.
func (c *check) read() {
	declared := 0
	for _, f := range c.typ.Fields {
		var names []string
		for _, name := range append([]string{f.Name}, f.Also...) {
			if v, ok := c.sent[name]; ok {
				declared++
				if v.Kind() != 'n' {
					names = append(names, name)
				}
			}
		}
		if len(names) == 0 {
			continue
		}
		v, code, message := f.read(c.sent[names[0]])
		for _, other := range names[1:] {
			if again, _, _ := f.read(c.sent[other]); !again.text.Equal(v.text) {
				c.add(other, fault.DetailConflict, fmt.Sprintf("It says something else than %s, which means the same. Send one of the two.", names[0]))
			}
		}
		if code != "" {
			c.add(names[0], code, message)
			c.broken = append(c.broken, f.Name)
			continue
		}
		v.sentAs = names[0]
		c.settings.values[f.Name] = v
	}
	c.settings.unknown = len(c.sent) - declared
	if _, ok := c.sent[ignored]; ok {
		if _, field := c.typ.field(ignored); !field {
			c.settings.unknown--
		}
	}
}

func (c *check) has(name string) bool {
	return c.settings.Has(name) || slices.Contains(c.broken, name)
}

func (c *check) need(name string) {
	if c.has(name) {
		return
	}
	f, _ := c.typ.field(name)
	c.broken = append(c.broken, name) // said once, whoever asks again
	message := fmt.Sprintf("Give the %s.", strings.ToLower(f.Title[:1])+f.Title[1:])
	if len(f.Also) > 0 {
		message += " It is also taken under " + strings.Join(f.Also, ", ") + "."
	}
	c.add(name, fault.DetailRequired, message)
}

func (c *check) complete(m Method) bool {
	return !slices.ContainsFunc(m.Needs, func(name string) bool { return !c.has(name) })
}

// choose finds the way to sign in: the one the discriminator names, else the
// one whose fields are there. Two whole ways at once are told apart by nobody.
func (c *check) choose() {
	methods := c.typ.Methods
	if len(methods) == 0 {
		return
	}
	named := ""
	if d := c.typ.Discriminator; c.has(d) {
		named = c.settings.Text(d)
	}
	var possible, whole []Method
	for _, m := range methods {
		if named == "" && !m.Explicit || strings.EqualFold(m.Name, named) {
			possible = append(possible, m)
		}
	}
	if len(possible) == 0 {
		return // the discriminator names no way, and its own fault says so
	}
	for _, m := range possible {
		if c.complete(m) {
			whole = append(whole, m)
		}
	}
	whole = slices.DeleteFunc(slices.Clone(whole), func(m Method) bool {
		return slices.ContainsFunc(whole, func(o Method) bool { return len(o.Needs) > len(m.Needs) && contains(o.Needs, m.Needs) })
	})
	near := c.nearest(possible)
	switch {
	case len(whole) == 0 || len(whole) == 1 && len(whole[0].Needs) == 0:
		c.take(near)
	case len(whole) == 1 || named != "":
		c.take(whole[0])
	default:
		c.conflict(whole)
	}
}

func (c *check) conflict(ways []Method) {
	for _, m := range ways {
		for _, name := range m.Needs {
			c.add(c.settings.values[name].sentAs, fault.DetailConflict, fmt.Sprintf(
				"There are fields for two ways to sign in, %s and %s. Send those of one.", ways[0].Name, ways[1].Name))
		}
	}
}

func contains(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// nearest is the way of which the most is there, the first where none is.
func (c *check) nearest(ways []Method) Method {
	best, most := ways[0], 0
	for _, m := range ways {
		there := 0
		for _, name := range slices.Concat(m.Needs, m.May) {
			if c.has(name) {
				there++
			}
		}
		if there > most {
			best, most = m, there
		}
	}
	return best
}

func (c *check) take(m Method) {
	c.settings.method = m.Name
	for _, name := range m.Needs {
		c.need(name)
	}
}

// masked is what interfaces show in place of a secret. Sent back, it would
// replace the secret by stars.
var masked = regexp.MustCompile(`^(\*{3,}|•{3,}|\[(secret|redacted|REDACTED)\])$`)

// read takes one value; code is "" where it is right.
func (f Field) read(raw jsontext.Value) (v setting, code, message string) {
	text := string(raw)
	isText := raw.Kind() == '"'
	if isText {
		b, err := jsontext.AppendUnquote(nil, raw)
		if err != nil {
			return v, fault.DetailMalformed, "Send it as text in UTF-8."
		}
		text = string(b)
	}
	v.text = secret.NewText(text)
	switch f.Kind {
	case Number:
		return f.readNumber(v, text, raw)
	case Bool:
		switch {
		case raw.Kind() == 't', isText && strings.EqualFold(text, "true"):
			v.truth, v.text = true, secret.NewText("true")
		case raw.Kind() == 'f', isText && strings.EqualFold(text, "false"):
			v.text = secret.NewText("false")
		default:
			return v, fault.DetailWrongKind, "Send true or false."
		}
		return v, "", ""
	case Object:
		if v := jsontext.Value(text); v.Kind() != '{' || !v.IsValid() {
			return setting{}, fault.DetailWrongKind, "Send a JSON object, or text that holds one."
		}
	default:
		if !isText {
			return v, fault.DetailWrongKind, "Send it as text."
		}
		if text == "" {
			return v, fault.DetailRequired, "It must not be empty. Leave it out if there is none."
		}
	}
	code, message = f.rules(text)
	return v, code, message
}

func (f Field) readNumber(v setting, text string, raw jsontext.Value) (setting, string, string) {
	if k := raw.Kind(); k != '"' && k != '0' {
		return v, fault.DetailWrongKind, "Send a whole number."
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return v, fault.DetailWrongKind, "Send a whole number."
	}
	if (f.Min != 0 || f.Max != 0) && (n < f.Min || n > f.Max) {
		return v, fault.DetailOutOfRange, fmt.Sprintf("Send a number from %d to %d.", f.Min, f.Max)
	}
	v.number, v.text = n, secret.NewText(strconv.FormatInt(n, 10))
	return v, "", ""
}

// rules holds a text to what its field asks.
func (f Field) rules(text string) (code, message string) {
	if f.Secret && masked.MatchString(text) {
		return fault.DetailPlaceholder, "This is what is shown in place of a secret. Send the secret itself, or leave credentials out to keep it."
	}
	if f.MaxBytes > 0 && len(text) > f.MaxBytes {
		return fault.DetailTooLong, fmt.Sprintf("At most %d bytes.", f.MaxBytes)
	}
	if len(f.OneOf) > 0 && !slices.ContainsFunc(f.OneOf, func(one string) bool { return strings.EqualFold(one, text) }) {
		return fault.DetailUnknown, "Use one of: " + strings.Join(f.OneOf, ", ") + "."
	}
	if f.Destination && !f.Lines && strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fault.DetailMalformed, "Leave out control characters."
	}
	if f.Check != nil {
		return f.Check(text)
	}
	return "", ""
}

// render is a value as JSON again.
func (f Field) render(v setting) jsontext.Value {
	switch f.Kind {
	case Number, Bool:
		return jsontext.Value(v.text.ExposeText())
	}
	text, err := jsontext.AppendQuote(nil, v.text.ExposeText())
	if err != nil {
		return jsontext.Value(`""`)
	}
	return text
}
