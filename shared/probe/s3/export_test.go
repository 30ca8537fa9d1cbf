package s3probe

// At is a prober that takes an address for Amazon's own.
func At(address string) Prober { return Prober{amazon: address} }
