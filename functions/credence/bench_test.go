package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"credence/shared/boot"
)

// BenchmarkRequests times a create, a read and a reveal of a credential through the
// whole handler, over the embedded store: what is left out is the network.
func BenchmarkRequests(b *testing.B) {
	o := options{serveFlags: serveFlags{Addr: "127.0.0.1:0", where: where{Data: b.TempDir(), Store: storeEmbedded}}}
	d, err := openData(b.Context(), o.where, false)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	p, err := newProgram(b.Context(), o, d, boot.Logger(io.Discard, slog.LevelInfo))
	if err != nil {
		b.Fatal(err)
	}
	var out strings.Builder
	if err := p.welcome(b.Context(), o, &out); err != nil {
		b.Fatal(err)
	}
	ask := func(method, path, sign, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(b.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Authorization", sign)
		w := httptest.NewRecorder()
		p.handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		return w
	}
	token := ask("POST", "/token", "Basic "+keyLine.FindString(out.String()), "").Body.String()
	sign := "Bearer " + regexp.MustCompile(`"access_token":"([^"]*)"`).FindStringSubmatch(token)[1]
	const body = `{"name":"bench","credentials_type":"postgres","credentials":{"host":"db.example.com","port":5432,"database":"d","username":"u","password":"p"}}`
	made := ask("POST", "/data_credentials", sign, body).Body.String()
	path := "/data_credentials/" + regexp.MustCompile(`"id":(\d+)`).FindStringSubmatch(made)[1]
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ask("GET", path, sign, "")
			}
		})
	})
	b.Run("reveal", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ask("GET", path+"/credentials", sign, "")
			}
		})
	})
	b.Run("create", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ask("POST", "/data_credentials", sign, body)
			}
		})
	})
}
