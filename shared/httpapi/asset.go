package httpapi

import (
	"fmt"
	"net/http"
	"time"
)

// Asset is an Answer's Body that is sent as it stands, under a media type of
// its own: a file of ours, the same for everybody. Only a public route may
// answer one, so that nothing of a caller's becomes a page or stays in a cache.
type Asset struct {
	Type    string        // its media type (RFC 9110, section 8.3.1)
	Content []byte        // as it is sent; if that is compressed, Answer.Header says how
	Policy  string        // the Content-Security-Policy of a page; "" = none
	Keep    time.Duration // how long it may be kept by whoever got it; 0 = not at all
}

// describe sets the headers that are the asset's own.
func (a Asset) describe(h http.Header) {
	h.Set("Content-Type", a.Type)
	if a.Policy != "" {
		h.Set("Content-Security-Policy", a.Policy)
	}
	if a.Keep > 0 {
		h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(a.Keep.Seconds())))
	}
}
