package identity_test

import (
	"fmt"
	"hash/crc32"
)

// checksumOf is a token's checksum, as anybody can work it out.
func checksumOf(body string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(body))) }
