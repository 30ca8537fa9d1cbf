package store

import "time"

// Text is the string under name; "" where there is none.
func (a Attributes) Text(name string) string { v, _ := a[name].(string); return v }

// Int is the number under name; 0 where there is none.
func (a Attributes) Int(name string) int64 { v, _ := a[name].(int64); return v }

// Bool is the truth value under name; false where there is none.
func (a Attributes) Bool(name string) bool { v, _ := a[name].(bool); return v }

// Bytes is the byte string under name; nil where there is none.
func (a Attributes) Bytes(name string) []byte { v, _ := a[name].([]byte); return v }

// Time is the instant that SetTime put under name; zero where there is none.
func (a Attributes) Time(name string) time.Time {
	v, ok := a[name].(int64)
	if !ok {
		return time.Time{}
	}
	return time.UnixMilli(v).UTC()
}

// SetTime keeps an instant to the millisecond; the zero time is left out.
func (a Attributes) SetTime(name string, t time.Time) {
	if !t.IsZero() {
		a[name] = t.UnixMilli()
	}
}

// SetText keeps a text unless it is empty, so that absent and empty are one.
func (a Attributes) SetText(name, v string) {
	if v != "" {
		a[name] = v
	}
}
