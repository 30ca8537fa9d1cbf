package gcsprobe

// At is a prober that takes an address for both of Google's.
func At(address string) Prober { return Prober{double: address} }
