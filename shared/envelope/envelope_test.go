package envelope

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"credence/shared/secret"
	"credence/shared/secret/secrettest"
)

var binding = Binding{Org: 101, Credential: 5008, Version: 3, Type: "postgres"}

// keyHolder stands where a KMS stands for the tests of the record alone: it gives
// one data key, keeps the context it was asked for and the slices it handed out.
// The rules of a KMS are kmstest's, whose suite seals and opens records too.
type keyHolder struct {
	key     []byte
	asked   EncryptionContext
	handed  [][]byte
	calls   int
	failure error
}

func newHolder() *keyHolder {
	key := make([]byte, keySize)
	_, _ = rand.Read(key)
	return &keyHolder{key: key}
}

func (h *keyHolder) hand() []byte {
	out := bytes.Clone(h.key)
	h.handed = append(h.handed, out)
	return out
}

func (h *keyHolder) GenerateDataKey(_ context.Context, ec EncryptionContext) (DataKey, error) {
	h.calls++
	h.asked = ec
	return DataKey{Plaintext: h.hand(), Wrapped: []byte("wrapped"), KeyID: "key", KeyMaterialID: "material"}, h.failure
}

func (h *keyHolder) DecryptDataKey(_ context.Context, _ []byte, _ string, ec EncryptionContext) ([]byte, error) {
	h.calls++
	h.asked = ec
	return h.hand(), h.failure
}

func mustSeal(t testing.TB, h *keyHolder, b Binding, plaintext string) Record {
	t.Helper()
	r, err := Seal(t.Context(), h, b, []byte(plaintext))
	if err != nil {
		t.Fatalf("sealing: %v", err)
	}
	return r
}

// mustRefuse wants an OpenError of one of the causes, ErrOpen and not one byte.
func mustRefuse(t *testing.T, what string, v secret.Value, err error, causes ...Cause) {
	t.Helper()
	var e *OpenError
	if v.Len() != 0 || v.Expose() != nil {
		t.Errorf("%s: %d bytes of plaintext came out", what, v.Len())
	}
	if !errors.Is(err, ErrOpen) || errors.Is(err, ErrKMSUnavailable) || !errors.As(err, &e) {
		t.Errorf("%s: error %v, want an OpenError", what, err)
		return
	}
	for _, c := range causes {
		if e.Cause == c {
			return
		}
	}
	t.Errorf("%s: cause %s, want one of %v", what, e.Cause, causes)
}

func TestRoundTripOfAllSizes(t *testing.T) {
	h := newHolder()
	sizes := []int{2 * padBlock, 4096, 64 << 10, MaxPlaintext - 1, MaxPlaintext}
	for n := range padBlock + 8 {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		plaintext := make([]byte, n)
		_, _ = rand.Read(plaintext)
		r, err := Seal(t.Context(), h, binding, plaintext)
		if err != nil {
			t.Fatalf("%d bytes: sealing: %v", n, err)
		}
		v, err := Open(t.Context(), h, binding, r)
		if got := v.Expose(); err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("%d bytes: opening: %v, or other bytes", n, err)
		}
	}
}

func TestRecordIsAsDrawn(t *testing.T) {
	h := newHolder()
	r := mustSeal(t, h, binding, "a secret")
	if string(r.DataKey) != "wrapped" || r.KeyID != "key" || r.KeyMaterialID != "material" {
		t.Errorf("the record keeps %q, %q, %q of the data key", r.DataKey, r.KeyID, r.KeyMaterialID)
	}
	if len(r.Ciphertext) != 352 || string(r.Ciphertext[:4]) != "CR\x01\x01" {
		t.Errorf("%d bytes that begin %q, want 352 and CR, 1, 1", len(r.Ciphertext), r.Ciphertext[:4])
	}
	if got, want := fmt.Sprint(h.asked), "map[cred:5008 fmt:1 org:101 sv:3 svc:credence]"; got != want {
		t.Errorf("encryption context %s, want %s", got, want)
	}
	if h.calls != 1 {
		t.Errorf("sealing asked for %d data keys", h.calls)
	}
}

// TestSizesTellOnlyTheBlock: the length of the ciphertext says how many blocks
// of 256 the secret takes, and nothing else.
func TestSizesTellOnlyTheBlock(t *testing.T) {
	h := newHolder()
	for n, want := range map[int]int{0: 352, 1: 352, 8: 352, 251: 352, 252: 352, 253: 608, 508: 608, 509: 864} {
		if got := len(mustSeal(t, h, binding, strings.Repeat("x", n)).Ciphertext); got != want {
			t.Errorf("%d bytes seal to %d, want %d", n, got, want)
		}
	}
}

func TestEveryBitAndEveryLength(t *testing.T) {
	h := newHolder()
	r := mustSeal(t, h, binding, `{"password":"correct horse battery staple"}`)
	whole := r.Ciphertext
	regions := []struct {
		until  int
		causes []Cause
	}{
		{saltAt, []Cause{CauseFormat}},
		{headerSize, []Cause{CauseCommitment}}, // salt and commitment
		{len(whole), []Cause{CauseTag}},        // nonce, body and tag
	}
	at := func(i int) []Cause {
		for _, region := range regions {
			if i < region.until {
				return region.causes
			}
		}
		panic("beyond the record")
	}
	for bit := range len(whole) * 8 {
		r.Ciphertext = bytes.Clone(whole)
		r.Ciphertext[bit/8] ^= 1 << (bit % 8)
		v, err := Open(t.Context(), h, binding, r)
		mustRefuse(t, fmt.Sprintf("bit %d of byte %d", bit%8, bit/8), v, err, at(bit/8)...)
	}
	for n := range len(whole) {
		r.Ciphertext = whole[:n]
		v, err := Open(t.Context(), h, binding, r)
		mustRefuse(t, fmt.Sprintf("the first %d bytes", n), v, err, CauseFormat)
	}
	for n := 1; n <= 2*padBlock; n++ {
		r.Ciphertext = append(bytes.Clone(whole), make([]byte, n)...)
		v, err := Open(t.Context(), h, binding, r)
		mustRefuse(t, fmt.Sprintf("%d bytes more", n), v, err, CauseFormat, CauseTag)
	}
	r.Ciphertext = make([]byte, overhead+paddedSize(MaxPlaintext)+padBlock)
	copy(r.Ciphertext, whole)
	v, err := Open(t.Context(), h, binding, r)
	mustRefuse(t, "longer than any record", v, err, CauseFormat)
	r.Ciphertext = whole
	if v, err := Open(t.Context(), h, binding, r); err != nil || v.Len() == 0 {
		t.Errorf("the record untouched: %v", err)
	}
}

// TestFormatsRefused: every value of the format and algorithm bytes but one.
func TestFormatsRefused(t *testing.T) {
	h := newHolder()
	r := mustSeal(t, h, binding, "text")
	h.calls = 0
	for value := range 256 {
		for _, at := range []int{len(magic), len(magic) + 1} {
			if value == 1 {
				continue
			}
			changed := r
			changed.Ciphertext = bytes.Clone(r.Ciphertext)
			changed.Ciphertext[at] = byte(value)
			v, err := Open(t.Context(), h, binding, changed)
			mustRefuse(t, fmt.Sprintf("byte %d = %d", at, value), v, err, CauseFormat)
		}
	}
	for _, text := range []string{"", "{}", `{"password":"plain"}`, strings.Repeat("x", 352), "cr\x01\x01" + strings.Repeat("x", 348)} {
		v, err := Open(t.Context(), h, binding, Record{DataKey: r.DataKey, KeyID: r.KeyID, Ciphertext: []byte(text)})
		mustRefuse(t, "no record at all", v, err, CauseFormat)
	}
	if h.calls != 0 {
		t.Errorf("the key service was asked %d times for what is no record", h.calls)
	}
}

// TestOtherBindings: the holder gives the right data key for every binding, so
// that the associated data alone has to refuse.
func TestOtherBindings(t *testing.T) {
	h := newHolder()
	for _, c := range []struct {
		name         string
		sealed, open Binding
	}{
		{"other org", binding, Binding{102, 5008, 3, "postgres"}},
		{"other credential", binding, Binding{101, 5009, 3, "postgres"}},
		{"other version", binding, Binding{101, 5008, 4, "postgres"}},
		{"earlier version", binding, Binding{101, 5008, 2, "postgres"}},
		{"other type", binding, Binding{101, 5008, 3, "mysql"}},
		{"type in other case", binding, Binding{101, 5008, 3, "Postgres"}},
		{"longer type", binding, Binding{101, 5008, 3, "postgres\x00"}},
		{"101|5008 as 1015|008", binding, Binding{1015, 8, 3, "postgres"}},
		{"101|5008 as 10|15008", binding, Binding{10, 15008, 3, "postgres"}},
		{"1015|8 as 101|58", Binding{1015, 8, 3, "postgres"}, Binding{101, 58, 3, "postgres"}},
		{"org and credential swapped", binding, Binding{5008, 101, 3, "postgres"}},
		{"credential and version swapped", binding, Binding{101, 3, 5008, "postgres"}},
		{"digit from id into type", Binding{1, 23, 3, "s3"}, Binding{1, 2, 3, "3s3"}},
		{"digit from type into id", Binding{1, 2, 3, "3s3"}, Binding{1, 23, 3, "s3"}},
		{"lengths inside a type", Binding{1, 2, 3, "a\x00\x00\x00\x01b"}, Binding{1, 2, 3, "a"}},
		{"large ids", Binding{1<<53 - 1, 1<<53 - 2, 1, "s3"}, Binding{1<<53 - 2, 1<<53 - 1, 1, "s3"}},
		{"versions equal in the low 32 bits", Binding{1, 2, 3, "s3"}, Binding{1, 2, 3 + 1<<32, "s3"}},
	} {
		r := mustSeal(t, h, c.sealed, "text")
		v, err := Open(t.Context(), h, c.open, r)
		mustRefuse(t, c.name, v, err, CauseTag)
		if v, err := Open(t.Context(), h, c.sealed, r); err != nil || v.ExposeText() != "text" {
			t.Errorf("%s: does not open for its own binding: %v", c.name, err)
		}
	}
}

func TestIncompleteBindings(t *testing.T) {
	h := newHolder()
	r := mustSeal(t, h, binding, "text")
	h.calls = 0
	for _, b := range []Binding{
		{},
		{0, 5008, 3, "s3"},
		{101, 0, 3, "s3"},
		{101, 5008, 0, "s3"},
		{101, 5008, 3, ""},
		{-1, 5008, 3, "s3"},
		{101, -1, 3, "s3"},
		{101, 5008, -1, "s3"},
	} {
		if sealed, err := Seal(t.Context(), h, b, []byte("text")); err == nil || errors.Is(err, ErrKMSUnavailable) || sealed.Ciphertext != nil {
			t.Errorf("%+v: sealed, or %v", b, err)
		}
		v, err := Open(t.Context(), h, b, r)
		mustRefuse(t, fmt.Sprint(b), v, err, CauseBinding)
	}
	if h.calls != 0 {
		t.Errorf("the key service was asked %d times for nothing", h.calls)
	}
}

func TestTooLong(t *testing.T) {
	h := newHolder()
	if _, err := Seal(t.Context(), h, binding, make([]byte, MaxPlaintext+1)); err == nil || h.calls != 0 {
		t.Errorf("a byte too many: %v after %d calls", err, h.calls)
	}
}

// TestDataKeyOfAnotherRecord: the commitment refuses before GCM is asked, which
// could be made to open under two keys.
func TestDataKeyOfAnotherRecord(t *testing.T) {
	r := mustSeal(t, newHolder(), binding, "text")
	v, err := Open(t.Context(), newHolder(), binding, r)
	mustRefuse(t, "another data key", v, err, CauseCommitment)
}

// TestPartsOfTwoRecords: two records of one binding and one data key, which no
// KMS gives out twice, still cannot be mixed.
func TestPartsOfTwoRecords(t *testing.T) {
	h := newHolder()
	a, b := mustSeal(t, h, binding, "first").Ciphertext, mustSeal(t, h, binding, "other").Ciphertext
	cuts := []int{saltAt, commitAt, headerSize, headerSize + nonceSize, len(a) - tagSize}
	for i, from := range cuts {
		for _, to := range append(cuts[i+1:], len(a)) {
			mixed := bytes.Clone(a)
			copy(mixed[from:to], b[from:to])
			if bytes.Equal(mixed[saltAt:], b[saltAt:]) {
				continue // all of it taken over
			}
			v, err := Open(t.Context(), h, binding, Record{Ciphertext: mixed})
			mustRefuse(t, fmt.Sprintf("bytes %d to %d of the other", from, to), v, err, CauseCommitment, CauseTag)
		}
	}
}

// forge seals any padded bytes as a holder of the data key could.
func forge(t *testing.T, dataKey []byte, b Binding, padded []byte) []byte {
	t.Helper()
	salt := bytes.Repeat([]byte{7}, saltSize)
	prk, err := hkdf.Extract(sha512.New, dataKey, salt)
	if err != nil {
		t.Fatalf("extracting: %v", err)
	}
	encrypt, err := hkdf.Expand(sha512.New, prk, "credence/v1/enc", 32)
	if err != nil {
		t.Fatalf("expanding: %v", err)
	}
	commit, err := hkdf.Expand(sha512.New, prk, "credence/v1/commit", 32)
	if err != nil {
		t.Fatalf("expanding: %v", err)
	}
	block, err := aes.NewCipher(encrypt)
	if err != nil {
		t.Fatalf("making the cipher: %v", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatalf("making the cipher: %v", err)
	}
	header := bytes.Join([][]byte{[]byte("CR\x01\x01"), salt, commit}, nil)
	return aead.Seal(bytes.Clone(header), nil, padded, b.associatedData(header))
}

func TestPaddings(t *testing.T) {
	h := newHolder()
	framed := func(length uint32, blocks int, rest ...byte) []byte {
		padded := make([]byte, blocks*padBlock)
		binary.BigEndian.PutUint32(padded, length)
		copy(padded[4:], rest)
		return padded
	}
	last := framed(4, 1, []byte("text")...)
	last[padBlock-1] = 1
	for name, padded := range map[string][]byte{
		"a block too many":         framed(4, 2, []byte("text")...),
		"a block too few":          framed(253, 1),
		"longer than all":          framed(1<<20, 1),
		"length of all ones":       framed(1<<32-1, 1),
		"sign bit":                 framed(1<<31, 1),
		"just above the longest":   framed(MaxPlaintext+1, MaxPlaintext/padBlock+1),
		"a byte behind the end":    framed(4, 1, []byte("text!")...),
		"the last byte":            last,
		"no length, only the text": append([]byte("text"), make([]byte, padBlock-4)...),
	} {
		v, err := Open(t.Context(), h, binding, Record{Ciphertext: forge(t, h.key, binding, padded)})
		mustRefuse(t, name, v, err, CausePadding)
	}
	for name, padded := range map[string][]byte{"nothing": {}, "three bytes": {0, 0, 0}, "half a block": make([]byte, padBlock/2)} {
		v, err := Open(t.Context(), h, binding, Record{Ciphertext: forge(t, h.key, binding, padded)})
		mustRefuse(t, name, v, err, CauseFormat)
		if _, err := unpad(padded); err == nil {
			t.Errorf("%s: unpadded", name)
		}
	}
	v, err := Open(t.Context(), h, binding, Record{Ciphertext: forge(t, h.key, binding, framed(4, 1, []byte("text")...))})
	if err != nil || v.ExposeText() != "text" {
		t.Errorf("the forger's good padding: %v; the cases above prove nothing", err)
	}
}

func TestKeyServiceErrors(t *testing.T) {
	away := fmt.Errorf("asking: %w: throttled", ErrKMSUnavailable)
	h := newHolder()
	r := mustSeal(t, h, binding, "text")
	h.failure = away
	if sealed, err := Seal(t.Context(), h, binding, []byte("text")); !errors.Is(err, ErrKMSUnavailable) || sealed.Ciphertext != nil {
		t.Errorf("sealing with the service away: %v", err)
	}
	if v, err := Open(t.Context(), h, binding, r); !errors.Is(err, ErrKMSUnavailable) || errors.Is(err, ErrOpen) || v.Len() != 0 {
		t.Errorf("opening with the service away: %v", err)
	}
	for _, cause := range []Cause{CauseKeyID, CauseUnwrap} {
		h.failure = Refuse(cause, errors.New("no"))
		v, err := Open(t.Context(), h, binding, r)
		mustRefuse(t, string(cause), v, err, cause)
	}
}

// half answers with data keys that are none.
type half struct{ DataKey }

func (g half) GenerateDataKey(context.Context, EncryptionContext) (DataKey, error) {
	return g.DataKey, nil
}

func (g half) DecryptDataKey(context.Context, []byte, string, EncryptionContext) ([]byte, error) {
	return g.Plaintext, nil
}

func TestHalfDataKeys(t *testing.T) {
	good := bytes.Repeat([]byte{1}, keySize)
	r := mustSeal(t, newHolder(), binding, "text")
	for name, key := range map[string]DataKey{
		"nothing":     {},
		"short":       {Plaintext: make([]byte, 16), Wrapped: []byte("w"), KeyID: "k"},
		"long":        {Plaintext: make([]byte, 33), Wrapped: []byte("w"), KeyID: "k"},
		"not wrapped": {Plaintext: bytes.Clone(good), KeyID: "k"},
		"no key id":   {Plaintext: bytes.Clone(good), Wrapped: []byte("w")},
	} {
		if sealed, err := Seal(t.Context(), half{key}, binding, []byte("text")); err == nil || sealed.Ciphertext != nil {
			t.Errorf("%s: sealed", name)
		}
		if len(key.Plaintext) != keySize {
			v, err := Open(t.Context(), half{key}, binding, r)
			mustRefuse(t, name, v, err, CauseUnwrap)
		}
	}
}

// TestKeysAreCleared: whatever way Seal and Open end, the data key they were
// given is zero and the plaintext they were given is untouched.
func TestKeysAreCleared(t *testing.T) {
	h := newHolder()
	plaintext := []byte("text")
	r, err := Seal(t.Context(), h, binding, plaintext)
	if err != nil || string(plaintext) != "text" {
		t.Fatalf("sealing: %v, or it changed the plaintext", err)
	}
	if _, err := Open(t.Context(), h, binding, r); err != nil {
		t.Fatalf("opening: %v", err)
	}
	r.Ciphertext[len(r.Ciphertext)-1] ^= 1
	_, _ = Open(t.Context(), h, binding, r)
	_, _ = Open(t.Context(), h, Binding{1, 2, 3, "s3"}, r)
	h.failure = ErrKMSUnavailable
	_, _ = Seal(t.Context(), h, binding, plaintext)
	_, _ = Open(t.Context(), h, binding, r)
	if len(h.handed) != 6 {
		t.Fatalf("%d data keys were handed out, want 6", len(h.handed))
	}
	for i, key := range h.handed {
		if !bytes.Equal(key, make([]byte, keySize)) {
			t.Errorf("data key %d was not cleared", i)
		}
	}
}

// TestErrorsShowNothing: no error holds plaintext, key or ciphertext.
func TestErrorsShowNothing(t *testing.T) {
	h := newHolder()
	const text = "correct horse battery staple"
	r := mustSeal(t, h, binding, text)
	searches := []*secrettest.Search{
		secrettest.NewSearch([]byte(text)), secrettest.NewSearch(h.key), secrettest.NewSearch(r.Ciphertext[headerSize:]),
	}
	damage := map[string]func(b Binding, c []byte) (Binding, []byte){
		"binding": func(_ Binding, c []byte) (Binding, []byte) { return Binding{}, c },
		"format":  func(b Binding, c []byte) (Binding, []byte) { return b, c[1:] },
		"commit":  func(b Binding, c []byte) (Binding, []byte) { c[saltAt] ^= 1; return b, c },
		"tag":     func(b Binding, c []byte) (Binding, []byte) { c[len(c)-1] ^= 1; return b, c },
	}
	for name, do := range damage {
		b, c := do(binding, bytes.Clone(r.Ciphertext))
		_, err := Open(t.Context(), h, b, Record{Ciphertext: c})
		if err == nil {
			t.Errorf("%s: opened", name)
		}
		for _, s := range searches {
			if forms := s.In(fmt.Appendf(nil, "%v %+v %#v", err, err, err)); len(forms) != 0 {
				t.Errorf("%s: the error shows a secret as %v", name, forms)
			}
		}
	}
}

// TestCauses: each is reached by a test above or by kmstest, and named once.
func TestCauses(t *testing.T) {
	seen := map[Cause]bool{}
	for _, c := range Causes {
		err := error(Refuse(c, context.Canceled))
		if seen[c] || c == "" || !strings.Contains(err.Error(), string(c)) {
			t.Errorf("cause %q is twice there, empty, or not in its error", c)
		}
		if !errors.Is(err, ErrOpen) || !errors.Is(err, context.Canceled) {
			t.Errorf("cause %q hides what it wraps", c)
		}
		seen[c] = true
	}
	if len(seen) != 7 {
		t.Errorf("%d causes, want 7", len(seen))
	}
}
