package httpprobe_test

import (
	"testing"

	"credence/shared/probe"
	"credence/shared/secret"
)

type fake settings

func (f fake) Text(name string) string         { s, _ := f[name].(string); return s }
func (f fake) Secret(name string) secret.Value { return secret.NewText(f.Text(name)) }
func (f fake) Int(string) (int64, bool)        { return 0, false }
func (f fake) Bool(name string) (bool, bool)   { v, ok := f[name].(bool); return v, ok }
func (f fake) Has(name string) bool            { return f[name] != nil && f[name] != "" }
func (f fake) Method() string                  { return f.Text("auth.type") }

func check(_ *testing.T, s settings) probe.Settings { return fake(s) }
