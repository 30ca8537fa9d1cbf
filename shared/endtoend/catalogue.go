package endtoend

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func schemaChecks() []check {
	return []check{
		{"the types and their schemas", typesDescribed},
		{"the schema of a request", requestSchema},
	}
}

func typeChecks() []check {
	return []check{
		{"all types are listed", typesListed},
		{"secrets and settings of further types", typesMarked},
		{"further types are accepted", typesAccepted},
		{"types and ways without a probe", unprobed},
	}
}

// kinds are the values of credentials_type.
var kinds = strings.Fields(`as400 aws_athena azure_blb azure_data_lake azure_synapse bigquery box cloudsql_mysql cloudsql_postgres
	cloudsql_sqlserver confluent_kafka databricks db2 delta_lake_azure_blb delta_lake_azure_data_lake delta_lake_s3 dropbox dynamodb firebase
	firebolt ftp gcp_alloydb gcp_spanner gcs gdrive google_pubsub hana_jdbc hive jms kafka min_io_s3 mongo mysql netsuite_jdbc nexla_monitor
	oracle oracle_autonomous pinecone postgres redshift rest s3 s3_iceberg sharepoint snowflake snowflake_dcr soap sqlserver sybase teradata
	tibco webdav`)

// lists wants types in the list of types.
func (su *suite) lists(t *testing.T, kinds ...string) *reply {
	t.Helper()
	r := su.admin.get(t, "/credential_types").ok(t).form(t, list(anyObject))
	for _, kind := range kinds {
		named := func(item any) bool {
			for _, value := range item.(object) {
				if value == any(kind) {
					return true
				}
			}
			return false
		}
		if !slices.ContainsFunc(r.items(), named) {
			t.Errorf("%s is not listed", kind)
		}
	}
	return r
}

func typesListed(t *testing.T, su *suite) {
	if r := su.lists(t, kinds...); len(r.items()) != len(kinds) {
		t.Errorf("%d types are listed, want %d", len(r.items()), len(kinds))
	}
	for _, kind := range kinds {
		su.admin.get(t, "/credential_types/"+kind).ok(t).form(t, fields{"type": is("object")}.shape())
	}
}

// schema is what every JSON Schema of an object says.
var schema = fields{"type": is("object"), "properties": mapOf(anyObject)}.shape()

// marked are a secret and a setting of a type.
type marked struct{ secret, public string }

// marks wants secrets, and nothing else, to be marked as such.
func (su *suite) marks(t *testing.T, types map[string]marked) {
	t.Helper()
	for kind, c := range types {
		r := su.admin.get(t, "/credential_types/"+kind).ok(t).form(t, schema)
		if r.at("properties", c.secret, "writeOnly") != true {
			t.Errorf("%s of %s is not marked as a secret", c.secret, kind)
		}
		if _, there := r.at("properties").(object)[c.public]; !there || r.at("properties", c.public, "writeOnly") == true {
			t.Errorf("%s of %s is missing or marked as a secret", c.public, kind)
		}
	}
}

func typesDescribed(t *testing.T, su *suite) {
	su.lists(t, "s3", "gcs", "postgres", "mysql", "rest")
	su.marks(t, map[string]marked{
		"s3": {"secret_key", "bucket"}, "postgres": {"password", "host"}, "mysql": {"password", "host"}, "gcs": {"json_creds", "project_id"},
		"rest": {"basic.password", "basic.username"},
	})
	for _, kind := range []string{"pigeon", "S3", "s3%20", "1"} {
		su.admin.get(t, "/credential_types/"+kind).refused(t, http.StatusNotFound, "")
	}
}

func requestSchema(t *testing.T, su *suite) {
	r := su.admin.get(t, "/data_credentials/schema").ok(t).form(t, schema)
	properties, _ := r.at("properties").(object)
	for _, field := range []string{"name", "credentials_type", "credentials", "description", "tags", "credentials_version", "owner_id", "org_id", "probe_interval"} {
		if _, there := properties[field]; !there {
			t.Errorf("the schema lacks %s", field)
		}
	}
}

func typesMarked(t *testing.T, su *suite) {
	su.marks(t, map[string]marked{
		"snowflake": {"password", "host"}, "kafka": {"sasl.jaas.config", "target.bootstrap.servers"}, "mongo": {"url", "host"},
		"sharepoint": {"vendor.refresh_token", "tenant_id"}, "databricks": {"url", "host"}, "ftp": {"private.key", "host"},
	})
}

func typesAccepted(t *testing.T, su *suite) {
	for name, c := range map[string]struct {
		kind        string
		credentials object
	}{
		"azure, a string":     {"azure_blb", object{"azure_blb.auth.type": "Connection String", "key.connection.string": "AccountName=a;AccountKey=" + su.leaks.secret()}},
		"snowflake, a word":   {"snowflake", object{"host": "a.snowflakecomputing.com", "port": 443, "snowflake.auth.type": "basic", "username": "u", "password": su.leaks.secret(), "warehouse_name": "w", "database_name": "d", "schema_name": "s", "database.field.QUERY_TAG": "q"}},
		"dropbox, one token":  {"dropbox", object{"access_token": su.leaks.secret()}},
		"pinecone, one key":   {"pinecone", object{"api_key": su.leaks.secret()}},
		"kafka, no word":      {"kafka", object{"target.bootstrap.servers": "k.example.org:9092", "security.protocol": "PLAINTEXT"}},
		"keys no type knows":  {"pinecone", object{"api_key": su.leaks.secret(), "my.own": su.leaks.secret(), "nested": object{"a": []int{1, 2}}}},
		"a type that is free": {"nexla_monitor", object{}},
	} {
		t.Run(name, func(t *testing.T) {
			su.admin.create(t, object{"name": label("types"), "credentials_type": c.kind, "credentials": c.credentials})
		})
	}
}
