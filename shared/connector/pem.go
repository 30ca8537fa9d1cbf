package connector

import (
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/fault"
	"credence/shared/jsontree"
)

const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "

	lostBreaks = `The line breaks of this PEM text were lost or changed, and it cannot be restored without doubt. Send it as it is in its file; in JSON, a line break is \n.`
)

// wholePEM reports whether each block that a text begins can be read (RFC 7468).
func wholePEM(text string) bool {
	read, rest := 0, []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return read > 0 && read == strings.Count(text, pemBegin)
		}
		read++
	}
}

// brokenPEM reports whether a text begins a block that cannot be read.
func brokenPEM(text string) bool { return strings.Contains(text, pemBegin) && !wholePEM(text) }

// restorePEM returns a PEM text with its line breaks where they became spaces,
// the two characters \n, or nothing, as shells, forms and environment variables
// leave it. Base64 contains none of these, so the result is unambiguous; a text
// whose content is not the one DER value that it then must be, or that has
// headers (RFC 1421), is returned as it is.
func restorePEM(text string) string {
	if !brokenPEM(text) {
		return text
	}
	rest := strings.NewReplacer(`\r\n`, "\n", `\n`, "\n", `\r`, "\n").Replace(strings.Trim(text, "\"' \t\r\n"))
	var out strings.Builder
	for {
		note, block, more := strings.Cut(rest, pemBegin)
		if note = strings.TrimSpace(note); note != "" {
			out.WriteString(note + "\n")
		}
		if !more {
			return out.String()
		}
		label, block, labelled := strings.Cut(block, "-----")
		body, tail, ended := strings.Cut(block, pemEnd+label+"-----")
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
		var value asn1.RawValue
		if !labelled || !ended || err != nil {
			return text
		}
		if after, err := asn1.Unmarshal(der, &value); err != nil || len(after) > 0 {
			return text
		}
		_ = pem.Encode(&out, &pem.Block{Type: label, Bytes: der}) // a strings.Builder takes all
		rest = tail
	}
}

// restoreKey is restorePEM for the private key in the JSON of a key file.
func restoreKey(file string) string {
	var members map[string]jsontext.Value
	var key string
	if json.Unmarshal([]byte(file), &members) != nil || json.Unmarshal(members["private_key"], &key) != nil {
		return file
	}
	restored := restorePEM(key)
	if restored == key {
		return file
	}
	quoted, err := jsontext.AppendQuote(nil, restored)
	if err != nil {
		return file
	}
	members["private_key"] = quoted
	return string(object(members))
}

// restore returns a text of the field with its line breaks restored.
func (f Field) restore(text string) string {
	switch {
	case !f.PEM:
		return text
	case f.Kind == Object:
		return restoreKey(text)
	}
	return restorePEM(text)
}

// repaired is a value of the field with the line breaks of its PEM texts restored,
// in the form in which it was sent; the value itself if that changes nothing.
func (f Field) repaired(n jsontree.Node, encoded bool) jsontree.Node {
	text := n.Text()
	if encoded {
		plain, err := decodeBase64(text)
		if err != nil {
			return n
		}
		text = string(plain)
	}
	restored := f.restore(text)
	if restored == text {
		return n
	}
	if encoded {
		restored = base64.StdEncoding.EncodeToString([]byte(restored))
	}
	raw, err := []byte(restored), error(nil)
	if n.Kind() == '"' {
		raw, err = jsontext.AppendQuote(nil, restored)
	}
	if err != nil {
		return n
	}
	repaired, err := Parse(raw)
	if err != nil {
		return n
	}
	return repaired
}

// CheckPEM accepts a text in PEM form, such as a private key.
func CheckPEM(text string) (code, message string) {
	if !wholePEM(text) {
		return fault.DetailMalformed, "Send it in PEM form, from -----BEGIN to -----END."
	}
	return "", ""
}
