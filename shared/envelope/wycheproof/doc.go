// Package wycheproof runs the test vectors of Project Wycheproof against the
// primitives of the standard library that the envelope is made of. It is a module
// of its own because the vectors unpack to over 100 MB, which no build of the
// service needs.
//
//	go test ./...
//	GODEBUG=fips140=only go test ./...
//
// Under fips140=only the cipher with a nonce of the caller's choice must be
// refused, and everything the envelope uses must still pass.
package wycheproof
