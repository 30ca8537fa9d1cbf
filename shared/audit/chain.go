package audit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/store"
)

// Head is the end of a credential's chain of changes. It outlives the
// credential, as a tombstone that keeps who may read the log.
type Head struct {
	Number     int64 // of the last change; 0 = none yet
	LastID     int64 // of its entry
	Hash       string
	OwnerID    int64
	OwnerEmail string
	Type       string // of what the chain is about, as in Subject; "" = a credential
	Gone       bool
}

const headSort = "HEAD"

// HeadKey is the key of the head of a credential's chain.
func HeadKey(org, credential int64) store.Key {
	return store.Key{Table: store.Audit, Partition: credentialPartition(org, credential), Sort: headSort}
}

// DecodeHead reads a head; the zero Item gives the head of an empty chain.
func DecodeHead(i store.Item) Head {
	a := i.Attributes
	return Head{
		Number:     a.Int("n"),
		LastID:     a.Int("last"),
		Hash:       a.Text("hash"),
		OwnerID:    a.Int("owner"),
		OwnerEmail: a.Text("owner_email"),
		Type:       a.Text("type"),
		Gone:       a.Bool("gone"),
	}
}

// Record makes the writes that add changes to a chain and move the head behind them.
// They belong into the commit of the changes themselves, whose precondition on the
// head makes two changes of one credential queue up. There is at least one entry.
// With gone, the head becomes the tombstone. An entry's id is raised behind that of
// the change before it: ids of one millisecond are in no order of their own. A
// change never expires.
func Record(head Head, gone bool, entries ...Entry) ([]store.Write, error) {
	condition := store.Absent()
	if head.Number > 0 {
		condition = store.Equal("hash", head.Hash)
	}
	writes := make([]store.Write, 0, len(entries)+1)
	for _, e := range entries {
		e.ID = max(e.ID, head.LastID+1)
		item, err := encode(credentialPartition(e.Org, e.Credential), e)
		if err != nil {
			return nil, err
		}
		item.Attributes["n"], item.Attributes["prev"] = head.Number+1, head.Hash
		hash, err := digest(item)
		if err != nil {
			return nil, err
		}
		head = Head{
			Number: head.Number + 1, LastID: e.ID, Hash: hash, OwnerID: e.OwnerID, OwnerEmail: e.OwnerEmail, Type: e.Subject.Type, Gone: gone,
		}
		writes = append(writes, store.Write{Verb: store.Put, Item: item, If: store.Absent()})
	}
	last := entries[len(entries)-1]
	return append(writes, store.Write{Verb: store.Put, Item: store.Item{Key: HeadKey(last.Org, last.Credential), Attributes: head.attributes()}, If: condition}), nil
}

func (h Head) attributes() store.Attributes {
	a := store.Attributes{
		"n": h.Number, "last": h.LastID, "hash": h.Hash, "owner": h.OwnerID, "owner_email": h.OwnerEmail, "gone": h.Gone,
	}
	a.SetText("type", h.Type)
	return a
}

// digest is the SHA-256, in hexadecimal, of an entry in the format that the
// entry itself names. Format 1, which names none, covers the canonical JSON of
// the attributes. Format 2 covers the item's partition (organisation and
// credential) and sort key (the entry's id) as well.
func digest(i store.Item) (string, error) {
	var text []byte
	var err error
	switch f := i.Attributes.Int("format"); f {
	case 0:
		text, err = appendCanonical(nil, i.Attributes)
	case format:
		text = append(text, `["credence/audit/2"`...)
		for _, part := range []string{i.Key.Partition, i.Key.Sort} {
			if text, err = jsontext.AppendQuote(append(text, ','), part); err != nil {
				return "", fmt.Errorf("hashing an audit entry: %w", err)
			}
		}
		text, err = appendCanonical(append(text, ','), i.Attributes)
		text = append(text, ']')
	default:
		return "", fmt.Errorf("hashing an audit entry: the format %d is not known", f)
	}
	if err != nil {
		return "", fmt.Errorf("hashing an audit entry: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// appendCanonical appends the attributes as a JSON object with sorted names, the
// bytes that json.Marshal with json.Deterministic makes, without its reflection.
func appendCanonical(b []byte, a store.Attributes) ([]byte, error) {
	names := make([]string, 0, 32) // on the stack
	for name := range a {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, '{')
	var err error
	for n, name := range names {
		if n > 0 {
			b = append(b, ',')
		}
		if b, err = jsontext.AppendQuote(b, name); err != nil {
			return nil, err
		}
		b = append(b, ':')
		switch v := a[name].(type) {
		case string:
			b, err = jsontext.AppendQuote(b, v)
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case bool:
			b = strconv.AppendBool(b, v)
		case []byte:
			b = append(base64.StdEncoding.AppendEncode(append(b, '"'), v), '"')
		default:
			err = fmt.Errorf("an attribute has a type that the store does not hold: %T", v)
		}
		if err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}
