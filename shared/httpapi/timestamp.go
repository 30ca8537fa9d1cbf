package httpapi

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Timestamp is an instant on the wire: UTC, RFC 3339, always with three digits
// of milliseconds. The zero time is null.
type Timestamp time.Time

const timestampLayout = "2006-01-02T15:04:05.000Z"

// String is the instant as on the wire; "" for the zero time.
func (t Timestamp) String() string {
	if time.Time(t).IsZero() {
		return ""
	}
	return time.Time(t).UTC().Format(timestampLayout)
}

// MarshalJSONTo writes the instant, or null.
func (t Timestamp) MarshalJSONTo(enc *jsontext.Encoder) error {
	if time.Time(t).IsZero() {
		return enc.WriteToken(jsontext.Null)
	}
	return enc.WriteToken(jsontext.String(t.String()))
}

// UnmarshalJSONFrom reads what MarshalJSONTo writes.
func (t *Timestamp) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	token, err := dec.ReadToken()
	if err != nil || token.Kind() == 'n' {
		*t = Timestamp{}
		return err
	}
	at, err := time.Parse(timestampLayout, token.String())
	*t = Timestamp(at)
	return err
}
