package mysql

// What tests reach for by itself.
var (
	Leave      = leave
	ReadPacket = readPacket
)
