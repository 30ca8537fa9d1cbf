package credential

import (
	"fmt"
	"strings"
	"time"

	"credence/shared/probe"
)

// maxStatus is how long verified_status may be on the wire, in bytes.
const maxStatus = 1024

// learn moves a result into the credential. An unknown verdict leaves what was
// known before.
func learn(c *Credential, r probe.Result) {
	c.Probes++
	c.Ends = c.Ends.learn(r)
	c.LastProbe = &LastProbe{Verdict: r.Verdict, Code: r.Code, Message: r.Message, Pointer: r.Pointer, CheckedAt: r.CheckedAt}
	switch r.Verdict {
	case probe.Valid:
		c.Status, c.VerifiedAt, c.Validity = "200 Ok", r.CheckedAt, ValidityValid
		c.rejection = r.Rejection
	case probe.Invalid:
		c.Status = fmt.Sprintf("%d %s", r.Status, r.Message)
		c.Status = strings.ToValidUTF8(c.Status[:min(len(c.Status), maxStatus)], "")
		c.VerifiedAt, c.Validity = time.Time{}, ValidityInvalid
	default:
		if c.Validity == Untested {
			c.Validity = ValidityUnknown
		}
	}
}

func forgetVerdict(c *Credential) {
	c.Status, c.Validity, c.LastProbe = "", Untested, nil
	c.VerifiedAt, c.Ends, c.rejection = time.Time{}, Ends{}, ""
}

// recall gives a credential the verdict that a version had.
func recall(c *Credential, v Version) {
	forgetVerdict(c)
	c.Status, c.VerifiedAt, c.Ends = v.Status, v.Verified, v.Ends
	switch {
	case v.Status == "":
	case !v.Verified.IsZero():
		c.Validity = ValidityValid
	default:
		c.Validity = ValidityInvalid
	}
}
