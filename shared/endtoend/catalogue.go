package endtoend

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func typeChecks() []check {
	return []check{
		{"all types are listed", typesListed},
		{"the schema of each type", typeSchemas},
		{"the schema of a request", requestSchema},
	}
}

// kinds are the values of credentials_type.
var kinds = strings.Fields(`as400 aws_athena azure_blb azure_data_lake azure_synapse bigquery box cloudsql_mysql cloudsql_postgres
	cloudsql_sqlserver confluent_kafka databricks db2 delta_lake_azure_blb delta_lake_azure_data_lake delta_lake_s3 dropbox dynamodb firebase
	firebolt ftp gcp_alloydb gcp_spanner gcs gdrive google_pubsub hana_jdbc hive jms kafka min_io_s3 mongo mysql netsuite_jdbc nexla_monitor
	oracle oracle_autonomous pinecone postgres redshift rest s3 s3_iceberg sharepoint snowflake snowflake_dcr soap sqlserver sybase teradata
	tibco webdav`)

func typesListed(t *testing.T, su *suite) {
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
	if len(r.items()) != len(kinds) {
		t.Errorf("%d types are listed, want %d", len(r.items()), len(kinds))
	}
}

// schema is what every JSON Schema of an object says.
var schema = fields{"type": is("object"), "properties": mapOf(anyObject)}.shape()

func typeSchemas(t *testing.T, su *suite) {
	for kind, c := range map[string]struct{ secret, public string }{
		"s3": {"secret_key", "bucket"}, "postgres": {"password", "host"}, "mysql": {"password", "host"}, "snowflake": {"password", "host"},
		"sharepoint": {"vendor.refresh_token", "tenant_id"}, "kafka": {"sasl.jaas.config", "target.bootstrap.servers"}, "mongo": {"url", "host"},
	} {
		r := su.admin.get(t, "/credential_types/"+kind).ok(t).form(t, schema)
		if r.at("properties", c.secret, "writeOnly") != true {
			t.Errorf("%s of %s is not marked as a secret", c.secret, kind)
		}
		if _, there := r.at("properties").(object)[c.public]; !there || r.at("properties", c.public, "writeOnly") == true {
			t.Errorf("%s of %s is missing or marked as a secret", c.public, kind)
		}
	}
	for _, kind := range kinds {
		su.admin.get(t, "/credential_types/"+kind).ok(t).form(t, fields{"type": is("object")}.shape())
	}
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
