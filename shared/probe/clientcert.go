package probe

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
)

const noCertificate = CodeAuthMethodUnsupported

// ClientCertificate reads the client certificate and its private key, both in
// PEM form, from two settings. It returns nil if the credential has neither,
// and records the certificate's expiry. The error is a Finding.
func (a *Attempt) ClientCertificate(certificate, key Field) (*tls.Certificate, error) {
	text, private := a.settings.Text(string(certificate)), a.settings.Secret(string(key)).ExposeText()
	switch {
	case text == "" && private == "":
		return nil, nil //nolint:nilnil // there is none, which is no error
	case text == "":
		return nil, Found(noCertificate, "The credential has a private key and no client certificate. Enter the certificate. Nothing was sent.").At(certificate)
	case private == "":
		return nil, Found(noCertificate, "The credential has a client certificate and no private key. Enter the key. Nothing was sent.").At(key)
	}
	if block, _ := pem.Decode([]byte(private)); block != nil && (block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "") {
		return nil, Found(noCertificate, "The private key is encrypted. Enter it without a passphrase. Nothing was sent.").At(key)
	}
	c, err := tls.X509KeyPair([]byte(text), []byte(private))
	if err != nil {
		return nil, Found(noCertificate, "The client certificate and the private key cannot be read, or do not belong together. Enter both in PEM form, whole and unchanged. Nothing was sent.").At(certificate)
	}
	if c.Leaf == nil {
		if c.Leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return nil, Found(noCertificate, "The client certificate cannot be read. Nothing was sent.").At(certificate)
		}
	}
	a.Ends(FactExpires, c.Leaf.NotAfter)
	return &c, nil
}
