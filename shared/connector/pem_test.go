package connector_test

import (
	"encoding/pem"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"credence/shared/connector"
)

// broken is a PEM text as forms, shells and environment variables leave it.
func broken(whole string) map[string]string {
	lines := strings.Split(strings.TrimSpace(whole), "\n")
	return map[string]string{
		"spaces":                strings.Join(lines, " "),
		"backslash and n":       strings.Join(lines, `\n`),
		"backslash, r and n":    strings.Join(lines, `\r\n`) + `\r\n`,
		"nothing":               strings.Join(lines, ""),
		"carriage returns":      strings.Join(lines, "\r"),
		"quotes":                `"` + strings.Join(lines, `\n`) + `"`,
		"indented":              strings.Join(lines, "\n    "),
		"spaces within markers": lines[0] + " " + strings.Join(lines[1:len(lines)-1], "  ") + " " + lines[len(lines)-1],
	}
}

// TestLostLineBreaks sends PEM texts without their line breaks: what can be
// restored is accepted and sealed whole, all else is rejected by that reason.
func TestLostLineBreaks(t *testing.T) {
	one := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority(t)}))
	typ := &connector.Type{
		Name: "door", Title: "Door", Help: "A door.",
		Fields: []connector.Field{
			connector.CACertificate(),
			{Name: "file", Encoded: []string{"file64"}, Kind: connector.Object, Title: "File", PEM: true, Secret: true, Check: connector.CheckServiceAccount},
		},
	}
	canonical := func(text jsontext.Value) jsontext.Value {
		sent, err := connector.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := typ.Canonical(sent)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	file := func(key string) string {
		return `{"type":"service_account","client_email":"a@b","private_key":` + strconv.Quote(key) + `}`
	}
	for whole, count := range map[string]int{one: 1, one + one: 2} {
		for name, text := range broken(whole) {
			sent := jsontext.Value(`{"tls.ca_certificate":` + strconv.Quote(text) + `,"file":` + file(text) + `}`)
			settings, faults := typ.Check(sent)
			if len(faults) > 0 || settings.Text("tls.ca_certificate") != whole {
				t.Errorf("%s, of %d: %v", name, count, faults)
			}
			repaired := canonical(sent)
			if strings.Count(string(repaired), strconv.Quote(whole)) != 2 {
				t.Errorf("%s, of %d: not sealed whole", name, count)
			}
			if again := canonical(repaired); string(again) != string(repaired) {
				t.Errorf("%s, of %d: repaired twice", name, count)
			}
		}
	}
	for name, text := range map[string]string{
		"a plus that became a space": strings.Replace(strings.ReplaceAll(one, "\n", " "), one[30:34], " ", 1),
		"cut off":                    one[:len(one)/2],
		"another end":                strings.ReplaceAll(one, "END CERTIFICATE", "END KEY"),
		"headers":                    "-----BEGIN CERTIFICATE----- Proc-Type: 4,ENCRYPTED AAAA -----END CERTIFICATE-----",
	} {
		_, faults := typ.Check(jsontext.Value(`{"tls.ca_certificate":` + strconv.Quote(text) + `,"file":` + file(text) + `}`))
		if len(faults) != 2 || !strings.Contains(faults[0].Message, "line breaks") || !strings.Contains(faults[1].Message, "line breaks") {
			t.Errorf("%s: %+v", name, faults)
		}
	}
	for name, sent := range map[string]string{"no PEM": `{"tls.ca_certificate":"x"}`, "whole": `{"tls.ca_certificate":` + strconv.Quote(one) + `}`} {
		if got := canonical(jsontext.Value(sent)); string(got) != sent {
			t.Errorf("%s: changed", name)
		}
	}
}

// TestBundle sends as many certificates as public bundles have.
func TestBundle(t *testing.T) {
	one := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority(t)}))
	typ := &connector.Type{Name: "door", Title: "Door", Help: "A door.", Fields: []connector.Field{connector.CACertificate()}}
	check := func(name, text string) string {
		_, faults := typ.Check(jsontext.Value(`{` + strconv.Quote(name) + `:` + strconv.Quote(text) + `}`))
		if len(faults) == 0 {
			return ""
		}
		return faults[0].Pointer + " " + faults[0].Code
	}
	note := strings.Repeat("#", 1000) + "\n"
	if got := check("tls.ca_certificate", strings.Repeat(note+one, 140)); got != "" {
		t.Errorf("a bundle of 164 KB and more: %s", got)
	}
	if got := check("tls.ca_certificate", strings.Repeat(note+one, 190)); got != "/credentials/tls.ca_certificate too_long" {
		t.Errorf("one above the limit: %s", got)
	}
	if got := check("other", strings.Repeat("x", connector.MaxTextBytes+1)); got != "/credentials too_long" {
		t.Errorf("a text of no field: %s", got)
	}
}
