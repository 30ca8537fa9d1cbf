package envelope

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// The records of testdata/records.jsonl stand for those in the stores of those
// who run the service. -update seals them anew; it is for a new format, which
// gets a file of its own beside this one.
var update = flag.Bool("update", false, "write the golden records and fuzz seeds anew")

const goldenFile = "testdata/records.jsonl"

// golden is one line. The data key stands in clear: these records hold nothing.
type golden struct {
	Org       int64  `json:"org"`
	Cred      int64  `json:"cred"`
	SV        int64  `json:"sv"`
	Type      string `json:"type"`
	DEK       string `json:"dek"`                        // hex
	Text      string `json:"plaintext,omitzero"`         // where it is UTF-8
	Bytes     []byte `json:"plaintext_base64,omitempty"` // where it is not
	Encrypted []byte `json:"ct"`                         // base64
}

func (g golden) binding() Binding {
	return Binding{Org: g.Org, Credential: g.Cred, Version: g.SV, Type: g.Type}
}

func (g golden) plaintext() []byte {
	if g.Bytes != nil {
		return g.Bytes
	}
	return []byte(g.Text)
}

func (g golden) holder(t testing.TB) *keyHolder {
	t.Helper()
	key, err := hex.DecodeString(g.DEK)
	if err != nil || len(key) != keySize {
		t.Fatalf("reading the data key of a golden record: %v, %d bytes", err, len(key))
	}
	return &keyHolder{key: key}
}

func readGolden(t testing.TB) []golden {
	t.Helper()
	file, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatalf("reading the golden records: %v", err)
	}
	var all []golden
	for line := range strings.Lines(string(file)) {
		var g golden
		if err := json.Unmarshal([]byte(line), &g, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("reading golden record %d: %v", len(all)+1, err)
		}
		all = append(all, g)
	}
	if len(all) < 200 {
		t.Fatalf("%d golden records, want at least 200", len(all))
	}
	return all
}

func writeGolden(t *testing.T) {
	t.Helper()
	var file bytes.Buffer
	types := []string{"s3", "gcs", "postgres", "mysql", "rest", "snowflake", "a type of some length, with spaces", "тип"}
	ids := []int64{1, 2, 9, 10, 101, 5008, 1015, 8, 4294967295, 4294967296, 1<<53 - 1}
	for i, text := range goldenTexts() {
		h := newHolder()
		b := Binding{Org: ids[i%len(ids)], Credential: ids[(i+1+i/11%9)%len(ids)], Version: ids[(i*5+i/11)%len(ids)], Type: types[i%len(types)]}
		g := golden{Org: b.Org, Cred: b.Credential, SV: b.Version, Type: b.Type, DEK: hex.EncodeToString(h.key)}
		g.Encrypted = mustSeal(t, h, b, text).Ciphertext
		if utf8.ValidString(text) {
			g.Text = text
		} else {
			g.Bytes = []byte(text)
		}
		if err := json.MarshalWrite(&file, g); err != nil {
			t.Fatalf("writing a golden record: %v", err)
		}
		file.WriteByte('\n')
	}
	if err := os.WriteFile(goldenFile, file.Bytes(), 0o644); err != nil {
		t.Fatalf("writing the golden records: %v", err)
	}
}

// goldenTexts are 240: sizes around each edge of the padding, objects as they are
// sealed, text of many scripts, and bytes that are no text.
func goldenTexts() []string {
	var all []string
	for _, n := range []int{0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 247, 248, 249, 250, 251, 252, 253, 254, 255, 256, 257, 507, 508, 509, 764, 765, 1020, 1021, 4096} {
		all = append(all, strings.Repeat("0123456789abcdef", n/16+1)[:n])
	}
	for i := range 121 {
		all = append(all, fmt.Sprintf(`{"host":"db-%d.example.com","password":"%s","port":%d,"username":"user%d"}`, i, strings.Repeat("p%", i%40), 1024+i, i))
	}
	for i, text := range []string{"pässwörd", "пароль", "鍵とパスワード", "🔑🗝️", "é as e + ́", "\"quoted\" \\ back", "line\nline\r\n\ttab", "\x00 NUL \x00", " spaces ", "\u202eright to left"} {
		all = append(all, text, strings.Repeat(text, i+2), fmt.Sprintf(`{"password":%q}`, text), "{}")
	}
	for n := range 40 {
		random := make([]byte, n+1)
		_, _ = rand.Read(random)
		random[0] = 0xff // no UTF-8 begins so
		all = append(all, string(random))
	}
	return all
}

func TestGolden(t *testing.T) {
	if *update {
		writeGolden(t)
		writeSeeds(t)
	}
	for i, g := range readGolden(t) {
		v, err := Open(t.Context(), g.holder(t), g.binding(), Record{Ciphertext: g.Encrypted})
		if got := v.Expose(); err != nil || !bytes.Equal(got, g.plaintext()) {
			t.Errorf("golden record %d: %v, or another plaintext", i+1, err)
		}
	}
}

// TestGoldenInNode opens the file with the second implementation, which was
// written from the layout and shares no code with this one.
func TestGoldenInNode(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("node is missing: the second implementation was not run")
		}
		t.Skip("node is missing: the second implementation was not run")
	}
	out, err := exec.CommandContext(t.Context(), node, "testdata/open.mjs", goldenFile).CombinedOutput()
	n := len(readGolden(t))
	want := fmt.Sprintf("opened %d of %d, refused %d of %d changed\n", n, n, 6*n, 6*n)
	if err != nil || string(out) != want {
		t.Errorf("node: %v, says %q, want %q", err, out, want)
	}
}

// layout is the drawing of record.go as data, to be changed a byte at a time.
type layout struct {
	magic, encrypt, commit, seal string
	integer                      binary.ByteOrder
	fields                       string // of the associated data, in order
	lengths                      bool   // before org, cred and type
	block, nonce, tag            int
}

var formatOne = layout{
	magic: "CR\x01\x01", encrypt: "credence/v1/enc", commit: "credence/v1/commit", seal: "credence/seal/v1\x00",
	integer: binary.BigEndian, fields: "hoctv", lengths: true, block: 256, nonce: 12, tag: 16,
}

// open reads a record by the layout, with HKDF spelt out (RFC 5869 §2).
func (l layout) open(dataKey []byte, b Binding, record []byte) ([]byte, error) {
	if len(record) < 68+28 || string(record[:len(l.magic)]) != l.magic {
		return nil, errors.New("not a record")
	}
	header := record[:68]
	prk := mac(header[4:36], dataKey)
	if !hmac.Equal(mac(prk, []byte(l.commit), []byte{1})[:32], header[36:]) {
		return nil, errors.New("commitment")
	}
	block, err := aes.NewCipher(mac(prk, []byte(l.encrypt), []byte{1})[:32])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	padded, err := aead.Open(nil, nil, record[68:], l.associated(header, b))
	if err != nil {
		return nil, err
	}
	n := int(l.integer.Uint32(padded))
	if n < 0 || n > len(padded)-4 || len(padded) != (4+n+l.block-1)/l.block*l.block {
		return nil, errors.New("padding")
	}
	return padded[4 : 4+n], nil
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha512.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func (l layout) associated(header []byte, b Binding) []byte {
	aad := []byte(l.seal)
	text := func(s string) {
		if l.lengths {
			aad = append(aad, 0, 0, 0, 0)
			l.integer.PutUint32(aad[len(aad)-4:], uint32(len(s)))
		}
		aad = append(aad, s...)
	}
	for _, f := range l.fields {
		switch f {
		case 'h':
			aad = append(aad, header...)
		case 'o':
			text(strconv.FormatInt(b.Org, 10))
		case 'c':
			text(strconv.FormatInt(b.Credential, 10))
		case 't':
			text(b.Type)
		case 'v':
			aad = append(aad, make([]byte, 8)...)
			l.integer.PutUint64(aad[len(aad)-8:], uint64(b.Version))
		}
	}
	return aad
}

// TestOneByteOfFormat: the layout opens every golden record; the layout with any
// one thing changed opens none, or for the block size not all. So the golden file
// notices each such change to the code.
func TestOneByteOfFormat(t *testing.T) {
	records := readGolden(t)
	opened := func(l layout) int {
		n := 0
		for _, g := range records {
			if got, err := l.open(g.holder(t).key, g.binding(), g.Encrypted); err == nil && bytes.Equal(got, g.plaintext()) {
				n++
			}
		}
		return n
	}
	if n := opened(formatOne); n != len(records) {
		t.Fatalf("the layout as drawn opens %d of %d", n, len(records))
	}
	tried := 0
	changed := func(what string, change func(l *layout)) {
		t.Helper()
		l := formatOne
		change(&l)
		tried++
		if n := opened(l); n != 0 {
			t.Errorf("%s: %d of %d records still open", what, n, len(records))
		}
	}
	for name, text := range map[string]func(l *layout) *string{
		"magic":        func(l *layout) *string { return &l.magic },
		"label enc":    func(l *layout) *string { return &l.encrypt },
		"label commit": func(l *layout) *string { return &l.commit },
		"label seal":   func(l *layout) *string { return &l.seal },
	} {
		for i := range len(*text(&layout{magic: formatOne.magic, encrypt: formatOne.encrypt, commit: formatOne.commit, seal: formatOne.seal})) {
			changed(fmt.Sprintf("%s, byte %d", name, i), func(l *layout) {
				b := []byte(*text(l))
				b[i] ^= 1
				*text(l) = string(b)
			})
		}
	}
	for _, fields := range []string{"ohctv", "hcotv", "hotcv", "hocvt", "octv", "hctv", "hotv", "hocv", "hoct", "hoctvt"} {
		changed("fields "+fields, func(l *layout) { l.fields = fields })
	}
	changed("no lengths", func(l *layout) { l.lengths = false })
	changed("little endian", func(l *layout) { l.integer = binary.LittleEndian })
	if tried < 60 {
		t.Errorf("%d changes were tried, want at least 60", tried)
	}
	for _, block := range []int{128, 255, 512} {
		l := formatOne
		l.block = block
		if n := opened(l); n == len(records) {
			t.Errorf("padding to %d: all records still open", block)
		}
	}
}

// TestSealsByTheLayout: what Seal makes today is what the layout reads.
func TestSealsByTheLayout(t *testing.T) {
	for _, g := range readGolden(t) {
		h := g.holder(t)
		r, err := Seal(t.Context(), h, g.binding(), g.plaintext())
		if err != nil {
			t.Fatalf("sealing: %v", err)
		}
		if got, err := formatOne.open(h.key, g.binding(), r.Ciphertext); err != nil || !bytes.Equal(got, g.plaintext()) {
			t.Fatalf("reading by the layout: %v, or another plaintext", err)
		}
	}
}

// TestGoldenIsReadable: the lines are such as a reviewer may check by hand.
func TestGoldenIsReadable(t *testing.T) {
	file, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatalf("reading the golden records: %v", err)
	}
	n := 0
	for line := range strings.Lines(string(file)) {
		if strings.Contains(line, base64.StdEncoding.EncodeToString([]byte("CR\x01"))) {
			n++
		}
	}
	if n != len(readGolden(t)) {
		t.Errorf("%d lines hold a record that begins with CR and 1", n)
	}
}
