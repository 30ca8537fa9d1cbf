package database

import (
	"encoding/hex"
	"math"
	"strconv"

	"credence/shared/probe"
)

const (
	// maxColumns of a table are shown: of each value then at least 100 bytes,
	// so that no number is ever cut.
	maxColumns = 500
	// maxRow is the longest row that is asked for, in bytes: a message of the
	// servers' protocols, whose lengths take up to 5 bytes a value.
	maxRow    = 56 << 10
	rowPrefix = 5
)

// Kind is how the values of a column are shown.
type Kind uint8

// The kinds.
const (
	Text    Kind = iota // as the server writes them
	Bool                // true or false
	Integer             // a number below 2^53, else text
	Float               // a number if it is finite, else text
	Binary              // the digits of their bytes, in hexadecimal
)

// Excerpt gathers the sample of a table: its columns first, then rows. The zero
// value is empty.
type Excerpt struct {
	Truncated bool // there is more than was taken

	columns []Selected
	rows    [][]any
}

// Selected is a column of an excerpt.
type Selected struct {
	Name string
	Kind Kind
}

// Columns are the columns that were added.
func (e *Excerpt) Columns() []Selected { return e.columns }

// Column adds a column; false if there is no room.
func (e *Excerpt) Column(c Selected) bool {
	if len(e.columns) == maxColumns {
		e.Truncated = true
		return false
	}
	e.columns = append(e.columns, c)
	return true
}

// most is how many bytes of a value are shown.
func (e *Excerpt) most() int {
	return min(probe.MaxCellBytes, maxRow/max(1, len(e.columns))-rowPrefix-1)
}

// Bytes is how many bytes of a column's values are asked for, of binary ones
// as they are: one more than are shown, which tells that there are more.
func (e *Excerpt) Bytes(k Kind) int {
	if k == Binary {
		return e.most()/2 + 1
	}
	return e.most() + 1
}

// Row adds a row, with a value for each column; nil is NULL. The values are
// UTF-8 but for binary ones, which are as they are. False if there are rows
// enough to tell that there are more than are shown.
func (e *Excerpt) Row(values [][]byte) bool {
	row := make([]any, len(e.columns))
	for i, c := range e.columns {
		if values[i] == nil {
			continue
		}
		value, kind := values[i], c.Kind
		if most := e.Bytes(kind) - 1; len(value) > most {
			value, e.Truncated = value[:most], true
			if kind != Binary { // the beginning of a number is another number
				value, kind = []byte(trim(string(value))), Text
			}
		}
		row[i] = kind.value(value)
	}
	e.rows = append(e.rows, row)
	return len(e.rows) <= probe.MaxSampleRows
}

// value is a value as it is shown. What does not look like its kind is text.
func (k Kind) value(v []byte) any {
	text := string(v)
	switch k {
	case Bool:
		if text == "true" || text == "false" {
			return text == "true"
		}
	case Integer:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && -1<<53 < n && n < 1<<53 {
			return n
		}
	case Float:
		if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f
		}
	case Binary:
		return hex.EncodeToString(v)
	}
	return text
}

// Sample is what was gathered.
func (e *Excerpt) Sample() probe.Sample {
	names := make([]string, len(e.columns))
	for i, c := range e.columns {
		names[i] = c.Name
	}
	return probe.Sample{ContentType: "application/json", Columns: names, Rows: e.rows, Truncated: e.Truncated}
}
