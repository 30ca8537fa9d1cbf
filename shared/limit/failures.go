package limit

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// The rates of Failures. Each is a token bucket: so many failures at once, then one
// in each interval.
const (
	failuresOfPair   = 20 // of one source that names one organisation
	pairInterval     = 3 * time.Second
	failuresOfSource = 100 // of one source, whatever it names
	sourceInterval   = time.Second
	failuresOfOrg    = 200 // of one organisation, from everywhere
	orgInterval      = 500 * time.Millisecond

	// remembered sources, organisations and credentials: about 10 MB. Beyond that
	// the one used longest ago is forgotten.
	remembered = 16 << 10
)

// Failures bounds the failed attempts to authenticate, so that guessing and
// flooding cost their source and not the store, nor the organisation that they
// name. Only failures are counted, and these attempts are always admitted:
//
//   - with a credential that was accepted before, which is still checked;
//   - of an organisation, from a source that did not fail for it lately. So an
//     attack from some sources never keeps the right key out elsewhere.
//
// A source is an IPv4 address or an IPv6 network of 64 bits, for one host has all
// addresses of that (RFC 6177). A Failures may be used by many goroutines at once.
type Failures struct {
	now func() time.Time

	mu       sync.Mutex
	pairs    *simplelru.LRU[pair, *rate.Limiter]
	sources  *simplelru.LRU[string, *rate.Limiter]
	orgs     *simplelru.LRU[int64, *rate.Limiter]
	accepted *simplelru.LRU[[32]byte, struct{}]
}

type pair struct {
	source string
	org    int64
}

// Attempt is one attempt to authenticate.
type Attempt struct {
	Source string   // the client's address
	Org    int64    // the organisation that the credential names
	Digest [32]byte // of the credential
}

// NewFailures makes Failures that go by the clock.
func NewFailures(now func() time.Time) *Failures {
	return &Failures{
		now: now, pairs: memory[pair, *rate.Limiter](), sources: memory[string, *rate.Limiter](),
		orgs: memory[int64, *rate.Limiter](), accepted: memory[[32]byte, struct{}](),
	}
}

func memory[K comparable, V any]() *simplelru.LRU[K, V] {
	l, _ := simplelru.NewLRU[K, V](remembered, nil) // fails for a size below one
	return l
}

// Wait returns how long the source of an attempt must wait before it is admitted; 0
// admits it.
func (f *Failures) Wait(a Attempt) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.accepted.Contains(a.Digest) {
		return 0
	}
	now, source := f.now(), sourceOf(a.Source)
	own, failed := f.pairs.Get(pair{source, a.Org})
	wait := time.Duration(0)
	if failed {
		wait = until(own, now, 1)
	}
	if all, ok := f.sources.Get(source); ok {
		wait = max(wait, until(all, now, 1))
	}
	// While an organisation is attacked from everywhere, one failure is enough.
	if org, ok := f.orgs.Get(a.Org); ok && failed && own.TokensAt(now) < failuresOfPair {
		wait = max(wait, until(org, now, 1))
	}
	return wait
}

// Failed counts an attempt that failed. exists reports whether the organisation
// that it named does: those that are made up are counted for the source alone.
func (f *Failures) Failed(a Attempt, exists bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepted.Remove(a.Digest)
	now, source := f.now(), sourceOf(a.Source)
	count(f.pairs, pair{source, a.Org}, now, pairInterval, failuresOfPair)
	count(f.sources, source, now, sourceInterval, failuresOfSource)
	if exists {
		count(f.orgs, a.Org, now, orgInterval, failuresOfOrg)
	}
}

// Accepted notes a credential that was accepted.
func (f *Failures) Accepted(a Attempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepted.Add(a.Digest, struct{}{})
}

func count[K comparable](in *simplelru.LRU[K, *rate.Limiter], key K, now time.Time, interval time.Duration, burst int) {
	limiter, ok := in.Get(key)
	if !ok {
		limiter = rate.NewLimiter(rate.Every(interval), burst)
		in.Add(key, limiter)
	}
	limiter.AllowN(now, 1)
}

// until is the time until a limiter has n tokens.
func until(l *rate.Limiter, now time.Time, n float64) time.Duration {
	missing := n - l.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / float64(l.Limit()) * float64(time.Second))
}

// sourceOf is the network that a client's address stands for; the text itself
// where it is none.
func sourceOf(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}
