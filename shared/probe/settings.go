package probe

import "credence/shared/secret"

// Settings is what a prober reads of connector.Settings: checked settings
// under their canonical names.
type Settings interface {
	Text(name string) string
	Secret(name string) secret.Value
	Int(name string) (int64, bool)
	Bool(name string) (value, present bool)
	Has(name string) bool
	Method() string
}

// sender is a Settings that knows the name by which a field was sent, which
// may be another than the canonical one.
type sender interface{ SentAs(name string) string }
