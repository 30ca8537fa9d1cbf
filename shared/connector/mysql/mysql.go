// Package mysql declares credentials of MySQL and MariaDB.
package mysql

import (
	"slices"

	"credence/shared/connector"
)

// Type is the declaration.
func Type() *connector.Type {
	return &connector.Type{
		Name: "mysql", Near: []string{"mariadb", "maria", "percona"}, ID: 3, ConnectionType: "mysql", Title: "MySQL",
		Help:    "A MySQL or MariaDB server, signed in to with user and password.",
		Fields:  slices.Concat(connector.Database(3306), connector.SSHTunnel()),
		Needs:   []string{"host", "username", "password"},
		Example: []byte(`{"host":"mysql.example.com","port":3306,"database":"production","username":"data_user","password":"correct horse"}`),
	}
}
