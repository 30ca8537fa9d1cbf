// Package postgres declares credentials of PostgreSQL.
package postgres

import (
	"slices"

	"credence/shared/connector"
)

// Type is the declaration.
func Type() *connector.Type {
	return &connector.Type{
		Name: "postgres", Near: []string{"pg", "psql", "pgsql"}, ID: 2, ConnectionType: "postgres", Title: "PostgreSQL",
		Help: "A PostgreSQL server, signed in to with user and password.",
		Fields: slices.Concat(connector.Database(5432), []connector.Field{
			{Name: "schema_name", Also: []string{"schema"}, Near: []string{"search_path"}, Kind: connector.Text, Title: "Schema", Public: true},
		}, connector.SSHTunnel()),
		Needs:   []string{"host", "username", "password", "database_name"},
		Example: []byte(`{"host":"db.example.com","port":5432,"database":"analytics","username":"analytics_user","password":"correct horse"}`),
	}
}
