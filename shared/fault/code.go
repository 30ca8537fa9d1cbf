package fault

import "net/http"

// Code is the error_code of an answer. Clients may switch on it, so a code
// once published keeps its meaning.
type Code string

// The closed list. docs/errors.md explains each; a test holds the two equal.
const (
	CodeInternal             Code = "internal"
	CodeOutcomeUnknown       Code = "outcome_unknown"
	CodeIntegrity            Code = "integrity_error"
	CodeInvalidRequest       Code = "invalid_request"
	CodeMalformedRequest     Code = "malformed_request"
	CodeMalformedJSON        Code = "malformed_json"
	CodeInvalidParameter     Code = "invalid_parameter"
	CodeInvalidConnectorType Code = "invalid_connector_type"
	CodePageRequired         Code = "page_required"
	CodeMalformedAuth        Code = "malformed_authorization"
	CodeUnauthenticated      Code = "unauthenticated"
	CodeForbidden            Code = "forbidden"
	CodeScopeMissing         Code = "scope_missing"
	CodeNotFound             Code = "not_found"
	CodeRouteNotFound        Code = "route_not_found"
	CodeInUse                Code = "in_use"
	CodeConflict             Code = "conflict"
	CodeIdempotencyReused    Code = "idempotency_key_reused"
	CodePreconditionFailed   Code = "precondition_failed"
	CodeMethodNotAllowed     Code = "method_not_allowed"
	CodeBodyTimeout          Code = "body_timeout"
	CodeTooLarge             Code = "too_large"
	CodeHeadersTooLarge      Code = "headers_too_large"
	CodeUnsupportedMediaType Code = "unsupported_media_type"
	CodeLimitReached         Code = "limit_reached"
	CodeTooManyRequests      Code = "too_many_requests"
	CodeKMSUnavailable       Code = "kms_unavailable"
	CodeStoreUnavailable     Code = "store_unavailable"
	CodeOverloaded           Code = "overloaded"
)

// Codes is every code with its HTTP status.
var Codes = map[Code]int{
	CodeInternal:             http.StatusInternalServerError,
	CodeOutcomeUnknown:       http.StatusInternalServerError,
	CodeIntegrity:            http.StatusInternalServerError,
	CodeInvalidRequest:       http.StatusBadRequest,
	CodeMalformedRequest:     http.StatusBadRequest,
	CodeMalformedJSON:        http.StatusBadRequest,
	CodeInvalidParameter:     http.StatusBadRequest,
	CodeInvalidConnectorType: http.StatusBadRequest,
	CodePageRequired:         http.StatusBadRequest,
	CodeMalformedAuth:        http.StatusBadRequest,
	CodeUnauthenticated:      http.StatusUnauthorized,
	CodeForbidden:            http.StatusForbidden,
	CodeScopeMissing:         http.StatusForbidden,
	CodeNotFound:             http.StatusNotFound,
	CodeRouteNotFound:        http.StatusNotFound,
	CodeInUse:                http.StatusMethodNotAllowed,
	CodeConflict:             http.StatusConflict,
	CodeIdempotencyReused:    http.StatusConflict,
	CodePreconditionFailed:   http.StatusPreconditionFailed,
	CodeMethodNotAllowed:     http.StatusMethodNotAllowed,
	CodeBodyTimeout:          http.StatusRequestTimeout,
	CodeTooLarge:             http.StatusRequestEntityTooLarge,
	CodeHeadersTooLarge:      http.StatusRequestHeaderFieldsTooLarge,
	CodeUnsupportedMediaType: http.StatusUnsupportedMediaType,
	CodeLimitReached:         http.StatusBadRequest,
	CodeTooManyRequests:      http.StatusTooManyRequests,
	CodeKMSUnavailable:       http.StatusServiceUnavailable,
	CodeStoreUnavailable:     http.StatusServiceUnavailable,
	CodeOverloaded:           http.StatusServiceUnavailable,
}

// Codes of a Detail: what is wrong with one field.
const (
	DetailRequired  = "required"      // missing, null or empty
	DetailWrongKind = "wrong_kind"    // a string where a number belongs, …
	DetailUnknown   = "unknown_value" // not one of the values allowed
	// DetailUnknownField is the code of a warning: the type of the credential
	// does not have this field.
	DetailUnknownField = "unknown_field"
	DetailTooLong      = "too_long"     // more than the limit
	DetailOutOfRange   = "out_of_range" // a number beyond its limits
	DetailMalformed    = "malformed"    // the right kind, but not of the form asked
	DetailConflict     = "conflicting"  // excludes another field that is there too
	DetailDuplicate    = "duplicate"    // the same thing twice
	DetailForbidden    = "not_allowed"  // a name or value that is refused
	DetailPlaceholder  = "placeholder"  // "***" sent back in place of a secret
	DetailInUse        = "in_use"       // something that uses the thing to be deleted
	DetailInvalid      = "last_invalid" // a warning: the system refused it when it was last probed
	DetailExpired      = "expired"      // a warning: it has stopped working, as a probe found out
)
