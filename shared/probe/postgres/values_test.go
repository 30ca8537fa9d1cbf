package postgres_test

import (
	"testing"
)

func values(t *testing.T, s *server, good settings)    {}
func encodings(t *testing.T, s *server, good settings) {}
func limits(t *testing.T, s *server, good settings)    {}
