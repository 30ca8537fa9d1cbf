// Package builtin is the list of types. A new type is its folder and one line
// here.
package builtin

import (
	"credence/shared/connector"
	"credence/shared/connector/gcs"
	"credence/shared/connector/mysql"
	"credence/shared/connector/postgres"
	"credence/shared/connector/rest"
	"credence/shared/connector/s3"
)

// Types is the list, made anew by each call.
func Types() []*connector.Type {
	return []*connector.Type{
		gcs.Type(),
		mysql.Type(),
		postgres.Type(),
		rest.Type(),
		s3.Type(),
	}
}

// Registry makes the registry of every type. It fails only on a declaration
// that contradicts itself or another.
func Registry() (*connector.Registry, error) { return connector.NewRegistry(Types()...) }
