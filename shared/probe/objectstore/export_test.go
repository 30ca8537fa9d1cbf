package objectstore

// ErrFolder is the finding of a path that is a folder where a file is meant.
var ErrFolder = errFolder
