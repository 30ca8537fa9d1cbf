package connector

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/fault"
	"credence/shared/jsontree"
	"credence/shared/nearest"
)

// Check validates a credentials object. It returns the settings under their
// canonical names, or every fault at once, with pointers that start at Root. A
// fault points at the name that was sent, for a missing field at the canonical
// one, and never holds a value. A null counts as not sent, and so does an empty
// text. Keys that the type does not declare are no fault. Any bytes may be
// given; the same ones give the same answer.
func (t *Type) Check(credentials jsontext.Value) (Settings, []fault.Detail) {
	sent, err := Parse(credentials)
	if err != nil {
		return Settings{}, []fault.Detail{t.unread(credentials, err)}
	}
	return t.CheckTree(sent)
}

// CheckTree is Check for an object that was parsed.
func (t *Type) CheckTree(sent jsontree.Node) (Settings, []fault.Detail) {
	if faults := t.shape(sent); len(faults) > 0 {
		return Settings{}, faults
	}
	c := check{
		typ: t, sent: sent, settings: Settings{typ: t, values: map[string]setting{}},
		empty: map[string]string{}, broken: map[string]bool{}, asked: map[string]bool{}, meant: map[string]string{},
	}
	c.read()
	c.findUnknown()
	for _, name := range t.Needs {
		c.need(name)
	}
	c.choose()
	if len(c.faults) > 0 {
		return Settings{}, c.faults
	}
	return c.settings, nil
}

// check is one Check under way. All maps are by canonical name.
type check struct {
	typ      *Type
	sent     jsontree.Node
	settings Settings
	faults   []fault.Detail
	empty    map[string]string // sent as null or "", by the name it was sent under
	broken   map[string]bool   // sent, but wrongly: its fault is told, and it is not missing
	asked    map[string]bool   // told to be missing
	meant    map[string]string // an undeclared name that was sent, by the field it is near to

	discriminated bool // a discriminator was sent
}

// pointer is where a name stands in a request (RFC 6901, section 3).
func pointer(name string) string { return Root + "/" + escape.Replace(name) }

var escape = strings.NewReplacer("~", "~0", "/", "~1")

func (c *check) add(name, code, message string) {
	c.faults = append(c.faults, fault.Detail{Pointer: pointer(name), Code: code, Message: message})
}

// read takes each declared field under whichever of its names was sent.
func (c *check) read() {
	for i, f := range c.typ.Fields {
		for _, name := range f.names() {
			if n, ok := c.sent.Get(name); ok {
				c.readAs(i, name, n)
			}
		}
	}
}

func (c *check) readAs(i int, name string, n jsontree.Node) {
	f := c.typ.Fields[i]
	if nothing(n) {
		if _, ok := c.empty[f.Name]; !ok {
			c.empty[f.Name] = name
		}
		return
	}
	text, code, message := f.read(n, f.encodes(name))
	if code != "" {
		c.add(name, code, message)
		c.broken[f.Name] = true
		return
	}
	before, twice := c.settings.values[f.Name]
	switch {
	case !twice:
		c.settings.values[f.Name] = setting{field: i, sentAs: name, text: text}
	case !f.same(before.text, text):
		c.add(name, fault.DetailConflict, fmt.Sprintf("It says something else than %s, which means the same. Send one of the two.", before.sentAs))
	}
}

func (c *check) has(name string) bool { return c.settings.Has(name) || c.broken[name] }

// need tells that a field is missing, once, whoever asks.
func (c *check) need(name string) {
	if c.has(name) || c.asked[name] {
		return
	}
	c.asked[name] = true
	f, _ := c.typ.field(name)
	message := fmt.Sprintf("Give the %s.", lowerFirst(f.Title))
	at := name
	if sent, ok := c.empty[name]; ok {
		at = sent
		message = "It must not be empty. " + message
	}
	if all := f.names(); len(all) > 1 {
		message += " Send it as " + strings.Join(all, " or ") + "."
	}
	if sent, ok := c.meant[name]; ok {
		message += " You sent " + sent + "." + nearest.Hint(name)
	}
	c.add(at, fault.DetailRequired, message)
}

// lowerFirst puts a title into a sentence, unless it starts with an
// abbreviation.
func lowerFirst(title string) string {
	first, n := utf8.DecodeRuneInString(title)
	second, _ := utf8.DecodeRuneInString(title[n:])
	if unicode.IsUpper(second) {
		return title
	}
	return string(unicode.ToLower(first)) + title[n:]
}
