package endtoend

// The forms of the contract, as tables.

var role = oneOf("owner", "admin", "operator", "collaborator")

// roles is the caller's role: one element.
var roles shape = func(at string, v any) []string {
	if items, ok := v.([]any); ok && len(items) != 1 {
		return []string{at + " does not hold exactly one role"}
	}
	return list(role)(at, v)
}

var ownerForm = fields{"id": id, "full_name": text, "email": nonempty}.shape()

var orgForm = fields{
	"id": id, "name": nonempty, "email_domain": text.or(null), "email": text.or(null), "client_identifier": text.or(null),
}.shape()

// connectorForm has all six set, or is null.
var connectorForm = fields{
	"id": id, "type": nonempty, "connection_type": nonempty, "name": nonempty, "description": text, "nexset_api_compatible": boolean,
}.shape().or(null)

// status is "200 Ok", or a status and a message of at most 1,024 bytes.
var statusForm = kind("a status and a message of at most 1024", func(v any) bool {
	s, ok := v.(string)
	return ok && (s == "200 Ok" || len(s) > 4 && len(s) <= 1024 && s[:3] > "399" && s[:3] < "500" && s[3] == ' ')
}).or(null)

var ids = list(id)

// fullFields are those of a credential from get, create, update and copy.
var fullFields = fields{
	"id": id, "name": nonempty, "credentials_type": nonempty,
	"description": text.or(null),
	"owner":       ownerForm, "org": orgForm, "access_roles": roles, "connector": connectorForm,
	"credentials_version": nonempty,
	"managed":             boolean, "api_keys": list(anyObject),
	"credentials_non_secure_data": anyObject, "tags": list(text),
	"verified_status": statusForm, "verified_at": timestamp.or(null),
	"copied_from_id": id.or(null),
	"created_at":     timestamp, "updated_at": timestamp,
	"referenced_resource_ids": mapOf(ids),
}

var fullForm = fullFields.shape().without("credentials", "vendor", "auth_template", "template_config")

// indexForm is a credential in a list.
var indexForm = fields{
	"id": id, "name": nonempty, "description": text.or(null), "owner": ownerForm, "org": orgForm,
	"access_roles": roles, "credentials_version": nonempty, "credentials_type": nonempty, "connector": connectorForm,
	"verified_status": statusForm, "verified_at": timestamp.or(null), "copied_from_id": id.or(null),
	"updated_at": timestamp, "created_at": timestamp,
}.shape().without("credentials")

// mapOf is an object whose values are of one shape.
func mapOf(of shape) shape {
	return func(at string, v any) []string {
		object, ok := v.(map[string]any)
		if !ok {
			return anyObject(at, v)
		}
		var faults []string
		for field, value := range object {
			faults = append(faults, of(at+"/"+field, value)...)
		}
		return faults
	}
}

var detailForm = fields{"pointer": text, "code": nonempty, "message": nonempty}.shape()

// errorForm is the body of every refusal.
var errorForm = fields{
	"message": nonempty, "error": nonempty, "error_code": nonempty, "details": list(detailForm),
	"resource_type": text.or(null), "resource_id": id.or(null), "request_id": nonempty,
}.shape().without("credentials")

var stageForm = fields{
	"name":    oneOf("policy", "dns", "tcp", "tls", "protocol", "auth", "access"),
	"outcome": oneOf("ok", "failed", "skipped"), "ms": integer, "message": text,
}.shape()

// staged is what every result of a probe says beside its verdict.
func staged(status, verdict shape) fields {
	return fields{
		"status": status, "message": nonempty, "connection_type": nonempty,
		"verdict": verdict, "error_code": nonempty, "checked_at": timestamp,
		"retryable": boolean, "stages": list(stageForm),
	}
}

var validForm = func() shape {
	f := staged(is("ok"), is("valid"))
	f["message"] = is("Ok")
	f["error_code"] = is("OK")
	f["output"] = anyObject
	return f.shape()
}()

var (
	invalidForm = staged(integer, is("invalid")).shape()
	unknownForm = staged(kind("400", func(v any) bool { return v == any(number("400")) }), is("unknown")).shape()
)

var scope = oneOf("read", "probe", "use", "write", "share", "reveal")

var keyForm = fields{
	"id": id, "owner_id": id, "org_id": id, "name": nonempty, "description": text.or(null), "status": nonempty,
	"scopes": list(scope), "expires_at": timestamp.or(null), "last_rotated_at": timestamp.or(null),
	"last_used_at": timestamp.or(null), "created_at": timestamp, "updated_at": timestamp,
	"created_by": id.or(null), "parent_id": id.or(null),
}

var membershipForm = fields{
	"api_key": null, "status": nonempty, "is_admin": boolean, "access_role": list(text).or(text), "access_role_expires_at": timestamp.or(null),
}.shape()

var userForm = fields{"id": id, "email": nonempty, "full_name": text}.shape()

var tokenForm = fields{
	"access_token": nonempty, "token_type": is("Bearer"), "expires_in": kind("86400", func(v any) bool { return v == any(number("86400")) }),
	"user": userForm, "org": orgForm, "org_membership": membershipForm,
}.shape()

var auditFields = fields{
	"id": id, "item_type": is("DataCredentials"), "item_id": id,
	"event": oneOf("create", "update", "destroy", "rollback", "copy", "reveal", "probe", "denied", "access_added", "access_removed",
		"linked", "unlinked", "transfer", "quarantined"),
	"change_summary": list(text),
	"object_changes": mapOf(func(at string, v any) []string {
		if pair, ok := v.([]any); ok && len(pair) == 2 {
			return nil
		}
		return []string{at + " is not a pair of before and after"}
	}),
	"association_resource": anyObject.or(null), "request_ip": text.or(null), "request_user_agent": text.or(null),
	"request_url": text.or(null), "user": fields{"id": id, "email": nonempty}.shape(),
	"key":    fields{"id": id, "name": nonempty}.shape(),
	"org_id": id, "owner_id": id, "owner_email": text.or(null), "created_at": timestamp,
}

var auditForm = auditFields.shape()

// orgAuditForm is an entry of an organisation's log.
var orgAuditForm = auditFields.and(fields{
	"item_type": oneOf("ServiceKey", "User", "Team", "Org", "DataCredentials", "DataSource", "DataSink", ""), "item_id": integer, "event": nonempty,
	"user": fields{"id": id.or(null), "email": nonempty.or(null)}.shape(), "key": fields{"id": id, "name": nonempty}.shape().or(null),
	"owner_id": integer,
})
