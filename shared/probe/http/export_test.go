package httpprobe

// At is a prober that takes an address for that of Google's tokens.
func At(address string) Prober { return Prober{double: address} }

// Cheap is cheap.
func Cheap(der []byte) bool { return cheap(der, 0) }
