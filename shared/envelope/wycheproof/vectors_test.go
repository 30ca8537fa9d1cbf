package wycheproof

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"testing"

	"github.com/c2sp/wycheproof"
	"github.com/go-json-experiment/json"
)

// file is what the vectors of all three kinds have in common.
type file[V any] struct {
	NumberOfTests int `json:"numberOfTests"`
	TestGroups    []struct {
		TagSize int `json:"tagSize"` // bits
		Tests   []V `json:"tests"`
	} `json:"testGroups"`
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

type verdict struct {
	ID      int    `json:"tcId"`
	Comment string `json:"comment"`
	Result  string `json:"result"`
}

func (v verdict) valid(t *testing.T) bool {
	t.Helper()
	if v.Result != "valid" && v.Result != "invalid" {
		t.Fatalf("vector %d: result %q is neither valid nor invalid", v.ID, v.Result)
	}
	return v.Result == "valid"
}

// read gives the vectors of a file to try, and requires that there are as many as
// the file says and as were counted when the module was pinned.
func read[V any](t *testing.T, name string, want int, try func(v V, tagSize int)) {
	t.Helper()
	f, err := wycheproof.TestVectors.Open(name)
	if err != nil {
		t.Fatalf("opening the vectors: %v", err)
	}
	defer func() { _ = f.Close() }()
	var all file[V]
	if err := json.UnmarshalRead(f, &all); err != nil {
		t.Fatalf("reading the vectors: %v", err)
	}
	tried := 0
	for _, group := range all.TestGroups {
		for _, v := range group.Tests {
			try(v, group.TagSize)
			tried++
		}
	}
	if tried != want || all.NumberOfTests != want {
		t.Errorf("%s: tried %d of %d vectors, want %d", name, tried, all.NumberOfTests, want)
	}
}

type aead struct {
	verdict
	Key hexBytes `json:"key"`
	IV  hexBytes `json:"iv"`
	AAD hexBytes `json:"aad"`
	Msg hexBytes `json:"msg"`
	CT  hexBytes `json:"ct"`
	Tag hexBytes `json:"tag"`
}

func (v aead) block(t *testing.T) cipher.Block {
	t.Helper()
	block, err := aes.NewCipher(v.Key)
	if err != nil {
		t.Fatalf("vector %d: making the cipher: %v", v.ID, err)
	}
	return block
}

// TestGCM runs all vectors with the nonce they name. Where only FIPS 140 is
// allowed, a caller's nonce has to be refused instead.
func TestGCM(t *testing.T) {
	sealed := 0
	read(t, "aes_gcm_test.json", 316, func(v aead, tagSize int) {
		gcm, err := cipher.NewGCMWithNonceSize(v.block(t), max(len(v.IV), 1))
		if fips140.Enforced() {
			if err == nil {
				t.Errorf("vector %d: a nonce of the caller's is allowed", v.ID)
			}
			return
		}
		if err != nil || tagSize != 128 {
			t.Fatalf("vector %d: tag of %d bits, making GCM: %v", v.ID, tagSize, err)
		}
		if len(v.IV) == 0 {
			// GCM has no empty nonce: the library refuses the size itself.
			if _, err := cipher.NewGCMWithNonceSize(v.block(t), 0); err == nil || v.valid(t) {
				t.Errorf("vector %d: an empty nonce is allowed", v.ID)
			}
			return
		}
		whole := append(bytes.Clone(v.CT), v.Tag...)
		opened, err := gcm.Open(nil, v.IV, whole, v.AAD)
		if (err == nil) != v.valid(t) || err == nil && !bytes.Equal(opened, v.Msg) || err != nil && opened != nil {
			t.Errorf("vector %d (%s): opening: %v", v.ID, v.Comment, err)
		}
		if v.valid(t) {
			sealed++
			if !bytes.Equal(gcm.Seal(nil, v.IV, v.Msg, v.AAD), whole) {
				t.Errorf("vector %d (%s): sealing gives other bytes", v.ID, v.Comment)
			}
		}
	})
	if !fips140.Enforced() && sealed < 200 {
		t.Errorf("%d valid vectors were sealed, want at least 200", sealed)
	}
}

// TestGCMWithRandomNonce runs those whose nonce has 96 bits through the cipher
// the envelope uses, which takes the nonce from before the ciphertext.
func TestGCMWithRandomNonce(t *testing.T) {
	run := 0
	read(t, "aes_gcm_test.json", 316, func(v aead, _ int) {
		if len(v.IV) != 12 {
			return
		}
		run++
		gcm, err := cipher.NewGCMWithRandomNonce(v.block(t))
		if err != nil {
			t.Fatalf("vector %d: making GCM: %v", v.ID, err)
		}
		opened, err := gcm.Open(nil, nil, bytes.Join([][]byte{v.IV, v.CT, v.Tag}, nil), v.AAD)
		if (err == nil) != v.valid(t) || err == nil && !bytes.Equal(opened, v.Msg) || err != nil && opened != nil {
			t.Errorf("vector %d (%s): opening: %v", v.ID, v.Comment, err)
		}
		back, err := gcm.Open(nil, nil, gcm.Seal(nil, nil, v.Msg, v.AAD), v.AAD)
		if err != nil || !bytes.Equal(back, v.Msg) {
			t.Errorf("vector %d: what was sealed does not open: %v", v.ID, err)
		}
	})
	if run != 197 {
		t.Errorf("%d vectors have a nonce of 96 bits, want 197", run)
	}
}

type derivation struct {
	verdict
	IKM  hexBytes `json:"ikm"`
	Salt hexBytes `json:"salt"`
	Info hexBytes `json:"info"`
	Size int      `json:"size"`
	OKM  hexBytes `json:"okm"`
}

func TestHKDF(t *testing.T) {
	for name, c := range map[string]struct {
		hash func() hash.Hash
		want int
	}{
		"hkdf_sha256_test.json": {sha256.New, 86},
		"hkdf_sha512_test.json": {sha512.New, 83},
	} {
		read(t, name, c.want, func(v derivation, _ int) {
			prk, err := hkdf.Extract(c.hash, v.IKM, v.Salt)
			if err != nil {
				t.Fatalf("%s, vector %d: extracting: %v", name, v.ID, err)
			}
			// In two steps, as the envelope does it, and in one.
			expanded, expandErr := hkdf.Expand(c.hash, prk, string(v.Info), v.Size)
			whole, wholeErr := hkdf.Key(c.hash, v.IKM, v.Salt, string(v.Info), v.Size)
			for way, got := range map[string][]byte{"in two steps": expanded, "in one": whole} {
				if v.valid(t) && !bytes.Equal(got, v.OKM) || !v.valid(t) && got != nil {
					t.Errorf("%s, vector %d (%s): %s another key", name, v.ID, v.Comment, way)
				}
			}
			if (expandErr == nil) != v.valid(t) || (wholeErr == nil) != v.valid(t) {
				t.Errorf("%s, vector %d (%s): errors %v and %v", name, v.ID, v.Comment, expandErr, wholeErr)
			}
		})
	}
}

type code struct {
	verdict
	Key hexBytes `json:"key"`
	Msg hexBytes `json:"msg"`
	Tag hexBytes `json:"tag"`
}

func TestHMAC(t *testing.T) {
	read(t, "hmac_sha256_test.json", 174, func(v code, tagSize int) {
		h := hmac.New(sha256.New, v.Key)
		h.Write(v.Msg)
		if got := h.Sum(nil)[:tagSize/8]; hmac.Equal(got, v.Tag) != v.valid(t) {
			t.Errorf("vector %d (%s): is not %s", v.ID, v.Comment, v.Result)
		}
	})
}
