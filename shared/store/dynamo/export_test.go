package dynamo

import "time"

// WithPatience gives an attempt so long, for tests in which a machine under
// load must not look like an engine that is silent.
func WithPatience(d time.Duration) Option { return func(s *Store) { s.limits.attempt = d } }
