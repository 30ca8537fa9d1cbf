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
