package probe

// Rejection is the remembered class of answer by which the system rejected
// another secret when this version was proven. It is "" when the counter-example
// is to be sent: for a version that is not proven yet, and whenever a person
// asks. A prober that compares answers compares with it where it is not "".
func (a *Attempt) Rejection() string { return a.rejection }

// Reject records the class of answer to another secret, for later probes of
// the same version. It must repeat nothing of an answer. Of several the last
// counts.
func (a *Attempt) Reject(class string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.sealed && len(class) <= maxRejection {
		a.rejected = class
	}
}

// maxRejection bounds what is stored with a version.
const maxRejection = 128
