package httpprobe

import (
	"crypto"
	"crypto/tls"
	"encoding/asn1"
	"encoding/base64"
	"strings"

	"software.sslmate.com/src/go-pkcs12"

	"credence/shared/probe"
)

// readCertificate reads the client certificate: PKCS #12 (RFC 7292) in base64,
// or PEM with its private key.
func (t *trial) readCertificate(settings reader) error {
	var certificate *tls.Certificate
	var err error
	switch {
	case settings.has(fieldP12):
		t.certField = fieldP12
		certificate, err = readP12(settings)
	case settings.has(fieldClientCert) || settings.has(fieldClientPEM):
		t.certField = fieldClientCert
		certificate, err = t.attempt.ClientCertificate(fieldClientCert, fieldClientPEM)
	default:
		t.certField = fieldClientCert
		return nil
	}
	if err != nil {
		return err
	}
	t.attempt.Ends(probe.FactExpires, certificate.Leaf.NotAfter)
	t.plan.certificate = certificate
	t.plan.certAlone = t.exchange == nil && !t.plan.tested()
	if t.plan.certAlone {
		t.plan.blame = t.certField
	}
	if t.exchange != nil {
		t.exchange.certificate = certificate
	}
	return nil
}

const noCertificate = probe.CodeAuthMethodUnsupported

func readP12(settings reader) (*tls.Certificate, error) {
	text := strings.NewReplacer("\n", "", "\r", "", " ", "").Replace(settings.Secret(string(fieldP12)).ExposeText())
	file, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil, probe.Found(noCertificate, "The client certificate cannot be read. Send the PKCS #12 file (.p12, .pfx) in base64. Nothing was sent.").At(fieldP12)
	}
	defer clear(file)
	if !cheap(file, 0) {
		return nil, probe.Found(noCertificate, "The PKCS #12 file asks for more rounds of key derivation than a probe computes (600,000). Export it anew with the usual number. Nothing was sent.").At(fieldP12)
	}
	key, leaf, chain, err := pkcs12.DecodeChain(file, settings.Secret(string(fieldP12Password)).ExposeText())
	switch {
	case err == pkcs12.ErrIncorrectPassword: //nolint:errorlint // returned as it is
		return nil, probe.Found(noCertificate, "The password does not open the PKCS #12 file. Enter it again. Nothing was sent.").At(fieldP12Password)
	case err != nil:
		return nil, probe.Found(noCertificate, "The PKCS #12 file cannot be read: it must hold one private key and its certificate. Nothing was sent.").At(fieldP12)
	}
	c := &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	for _, issuer := range chain {
		c.Certificate = append(c.Certificate, issuer.Raw)
	}
	if _, ok := key.(crypto.Signer); !ok {
		return nil, probe.Found(noCertificate, "The private key of the client certificate cannot sign. Use an RSA, ECDSA or Ed25519 key. Nothing was sent.").At(fieldP12)
	}
	return c, nil
}

// maxRounds bounds what a file can ask for, as of a server's SCRAM.
const maxRounds = 600_000

// cheap reports whether no round count in a PKCS #12 file is above maxRounds. A
// count is an integer behind an octet string, the salt (RFC 8018 appendix A).
func cheap(der []byte, depth int) bool {
	salted := false
	for len(der) > 0 && depth < 24 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return true // no ASN.1: the content of a string
		}
		if v.Tag == asn1.TagInteger && v.Class == asn1.ClassUniversal && salted {
			var rounds int64
			if _, err := asn1.Unmarshal(v.FullBytes, &rounds); err != nil || rounds > maxRounds {
				return false
			}
		}
		salted = v.Tag == asn1.TagOctetString && v.Class == asn1.ClassUniversal
		if (v.IsCompound || salted) && !cheap(v.Bytes, depth+1) {
			return false
		}
		der = rest
	}
	return true
}
