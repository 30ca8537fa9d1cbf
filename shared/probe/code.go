package probe

// Code says what a probe met. The list is closed; docs/probes.md explains each.
type Code string
