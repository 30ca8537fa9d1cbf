package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/go-json-experiment/json"
)

// stored is how many credentials each server holds before it is measured.
const stored = 200

// server is a running server and the requests that it is measured by.
type server struct {
	*process
	name, address string
	create        operation
	read          operation
	reveal        operation
	update        operation
	idle          float64 // MiB, before the first credential
}

// The same document for every server: about 300 bytes, as users send it.
const secretJSON = `{"credentials_type":"s3","access_key_id":"AKIA2E0A8F3B244C9986","secret_key":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY","bucket":"my-data-bucket","region":"us-east-1"}`

const credentialJSON = `{"name":"Test S3 Credentials","description":"AWS S3 access for data storage","credentials_type":"s3","credentials":` + secretJSON + `}`

// bareAnswer is what the bare server sends, about as long as an answer of ours.
const bareAnswer = `{"id":5000,"name":"Test S3 Credentials","description":"AWS S3 access for data storage","credentials_type":"s3","owner":{"id":1,"full_name":"Admin","email":"admin@example.com"},"org":{"id":1,"name":"Default"},"access_roles":["owner"],"created_at":"2026-01-02T03:04:05.678Z","updated_at":"2026-01-02T03:04:05.678Z"}`

// serveBare serves the same JSON to every request: what net/http alone costs.
func serveBare(address string) error {
	answer := []byte(bareAnswer)
	s := &http.Server{Addr: address, ReadHeaderTimeout: requestTimeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	})}
	return s.ListenAndServe()
}

func startBare(ctx context.Context, work string) (*server, error) {
	self, errSelf := os.Executable()
	address, err := freeAddress(ctx)
	if err := errors.Join(errSelf, err); err != nil {
		return nil, err
	}
	p, err := startProcess(ctx, filepath.Join(work, "bare.log"), answers(ctx, "http://"+address+"/"), self, "bare", address)
	if err != nil {
		return nil, err
	}
	get, post := byTurns([][]byte{request("GET", "/", "", "")}), byTurns([][]byte{request("POST", "/", "", credentialJSON)})
	s := &server{process: p, name: "net/http", address: address, create: post, read: get, reveal: get, update: post}
	s.idle, _ = p.memory()
	return s, nil
}

// startCredence starts the local server on an empty store and signs in with the
// key that its first start prints.
func startCredence(ctx context.Context, program, work string) (*server, string, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, "", err
	}
	base, log := "http://"+address, filepath.Join(work, "credence.log")
	p, err := startProcess(ctx, log, answers(ctx, base+"/health"), program, "serve", "--addr", address, "--data", filepath.Join(work, "credence"))
	if err != nil {
		return nil, "", err
	}
	s := &server{process: p, name: "credence", address: address}
	s.idle, _ = p.memory()
	text, err := os.ReadFile(filepath.Clean(log))
	if err != nil {
		return s, "", err
	}
	var token struct {
		Token string `json:"access_token"`
	}
	key := sign{"Authorization", "Basic " + string(regexp.MustCompile(`crk_[\w.\-]+`).Find(text))}
	if err := key.call(ctx, "POST", base+"/token", "", &token); err != nil {
		return s, "", err
	}
	session := sign{"Authorization", "Bearer " + token.Token}
	header := session.line()
	var reads, reveals, updates [][]byte
	for range stored {
		var made struct {
			ID int64 `json:"id"`
		}
		if err := session.call(ctx, "POST", base+"/data_credentials", credentialJSON, &made); err != nil {
			return s, "", err
		}
		path := fmt.Sprintf("/data_credentials/%d", made.ID)
		reads = append(reads, request("GET", path, header, ""))
		reveals = append(reveals, request("GET", path+"/credentials", header, ""))
		updates = append(updates, request("PUT", path, header, credentialJSON))
	}
	s.create = byTurns([][]byte{request("POST", "/data_credentials", header, credentialJSON)})
	s.read, s.reveal, s.update = byTurns(reads), byTurns(reveals), byTurns(updates)
	return s, header, nil
}

// startOpenBao starts OpenBao with raft and a file audit device, unseals it and
// mounts a versioned key-value store.
func startOpenBao(ctx context.Context, program, work string) (*server, error) {
	address, err := freeAddress(ctx)
	cluster, errCluster := freeAddress(ctx)
	data, config := filepath.Join(work, "openbao"), filepath.Join(work, "openbao.hcl")
	text := fmt.Sprintf(`storage "raft" { path = %q node_id = "n1" }
listener "tcp" { address = %q tls_disable = true }
api_addr = "http://%s"
cluster_addr = "http://%s"
log_level = "error"
audit "file" "f" { options { file_path = %q } }
`, data, address, address, cluster, filepath.Join(work, "openbao-audit.log"))
	if err := errors.Join(err, errCluster, os.Mkdir(data, 0o700), os.WriteFile(config, []byte(text), 0o600)); err != nil {
		return nil, err
	}
	base := "http://" + address + "/v1"
	p, err := startProcess(ctx, filepath.Join(work, "openbao.log"), answers(ctx, base+"/sys/seal-status"), program, "server", "-config", config)
	if err != nil {
		return nil, err
	}
	s := &server{process: p, name: "openbao", address: address}
	return s, s.fillOpenBao(ctx, base)
}

func (s *server) fillOpenBao(ctx context.Context, base string) error {
	var made struct {
		Keys  []string `json:"keys"`
		Token string   `json:"root_token"`
	}
	var nobody sign
	if err := nobody.call(ctx, "PUT", base+"/sys/init", `{"secret_shares":1,"secret_threshold":1}`, &made); err != nil {
		return err
	}
	if err := nobody.call(ctx, "PUT", base+"/sys/unseal", fmt.Sprintf(`{"key":%q}`, made.Keys[0]), nil); err != nil {
		return err
	}
	again := func(what func() error) error { // until it leads its cluster of one
		for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			if err := what(); err == nil || time.Since(began) > startTimeout {
				return err
			}
		}
	}
	root := sign{"X-Vault-Token", made.Token}
	if err := again(func() error { return nobody.call(ctx, "GET", base+"/sys/health", "", nil) }); err != nil {
		return err
	}
	s.idle, _ = s.memory()
	if err := again(func() error {
		return root.call(ctx, "POST", base+"/sys/mounts/secret", `{"type":"kv","options":{"version":"2"}}`, nil)
	}); err != nil {
		return err
	}
	signed, body := root.line(), `{"data":`+secretJSON+`}`
	var reads, updates [][]byte
	for i := range stored {
		path := fmt.Sprintf("/secret/data/k%d", i)
		// The mount is upgraded in the background; until then it refuses writes.
		if err := again(func() error { return root.call(ctx, "POST", base+path, body, nil) }); err != nil {
			return err
		}
		reads = append(reads, request("GET", "/v1"+path, signed, ""))
		updates = append(updates, request("POST", "/v1"+path, signed, body))
	}
	s.create = func(n uint64) []byte { return request("POST", fmt.Sprintf("/v1/secret/data/new%d", n), signed, body) }
	s.read, s.reveal, s.update = byTurns(reads), byTurns(reads), byTurns(updates)
	return nil
}

// answers reports whether an address answers with success.
func answers(ctx context.Context, url string) func() bool {
	return func() bool { return sign{}.call(ctx, "GET", url, "", nil) == nil }
}

// sign is the header that authenticates a request; the zero value is none.
type sign struct{ header, value string }

func (s sign) line() string { return s.header + ": " + s.value + "\r\n" }

// call makes one request of a set-up and decodes the answer where out is not nil.
func (s sign) call(ctx context.Context, method, url, body string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if s.header != "" {
		r.Header.Set(s.header, s.value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %d", method, r.URL.Path, res.StatusCode)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
