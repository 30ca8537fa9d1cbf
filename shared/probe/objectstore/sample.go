package objectstore

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"credence/shared/probe"
)

// Sample reads the beginning of a file. Before that it asks for a list, which
// tells a folder from nothing, and shows that what answers is a store: not
// whatever serves something at an address of that form. The error is a Finding.
func Sample(ctx context.Context, s Store, at Location) (probe.Sample, error) {
	if at.Key == "" {
		return probe.Sample{}, errFolder
	}
	inside, err := begin(Query{Prefix: asFolder(at.Key), Keys: 1, Bytes: onePage}, func(q Query) (Page, error) { return s.List(ctx, at.Bucket, q) })
	if f := (probe.Finding{}); err != nil && (!errors.As(err, &f) || f.Code != probe.WarnScopeMissing) {
		return probe.Sample{}, err // who may not list may still read
	}
	if inside.Cut {
		return probe.Sample{}, errForeign
	}
	content, err := s.Read(ctx, at, probe.MaxSampleBytes)
	marker := strings.HasSuffix(at.Key, "/") && len(content.Bytes) == 0
	switch {
	case err != nil:
		return probe.Sample{}, err
	case !content.Missing && !marker:
		return show(at.Key, content), nil
	case !content.Missing, len(inside.Objects)+len(inside.Folders) > 0:
		return probe.Sample{}, errFolder
	}
	return probe.Sample{}, errNotThere
}

// show is the sample of what was read. A text that goes on ends with its last
// whole line, or, where that has no end, with its last whole character.
func show(key string, c Content) probe.Sample {
	sample := probe.Sample{Bytes: c.Bytes, Truncated: c.More}
	if sample.Bytes == nil {
		sample.Bytes = []byte{} // a file without content, not no file
	}
	whole := c.Bytes
	if c.More {
		whole = wholeCharacters(whole)
	}
	text := utf8.Valid(whole) && bytes.IndexByte(whole, 0) < 0
	if c.More && text {
		sample.Bytes = whole
		if end := bytes.LastIndexByte(whole, '\n'); end >= 0 {
			sample.Bytes = whole[:end+1]
		}
	}
	sample.ContentType = contentType(key, c, text)
	return sample
}

// wholeCharacters leaves out the beginning of a character of UTF-8 at the end.
func wholeCharacters(b []byte) []byte {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if last := b[len(b)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return b[:len(b)-n]
			}
			break
		}
	}
	return b
}
