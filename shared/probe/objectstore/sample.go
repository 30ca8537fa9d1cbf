package objectstore

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"credence/shared/probe"
)

// Sample reads the beginning of a file, or, of a folder, that of the first file
// below it. A path is read as it stands first; where nothing is there and it
// begins with the bucket's own name, without that. The error is a Finding.
func Sample(ctx context.Context, s Store, at Location) (probe.Sample, error) {
	sample, err := read(ctx, s, at)
	if at.Named && errors.Is(err, errNotThere) {
		return read(ctx, s, at.unnamed())
	}
	return sample, err
}

// maxLook is how many keys of a folder are looked at for its first file, a page.
const maxLook = 100

// read asks for a list before the file. The list tells a folder from nothing, and
// shows that a store answers, not whatever serves something at an address of that
// form.
func read(ctx context.Context, s Store, at Location) (probe.Sample, error) {
	folder := asFolder(at.Key)
	inside, err := begin(Query{Prefix: folder, Flat: true, Keys: maxLook, Bytes: maxPage}, func(q Query) (Page, error) { return s.List(ctx, at.Bucket, q) })
	if f := (probe.Finding{}); err != nil && (at.Key == "" || !errors.As(err, &f) || f.Code != probe.WarnScopeMissing) {
		return probe.Sample{}, err // who may not list may still read
	}
	if inside.Cut {
		return probe.Sample{}, errForeign
	}
	if at.Key != folder || err != nil {
		content, err := s.Read(ctx, at, probe.MaxSampleBytes)
		marker := strings.HasSuffix(at.Key, "/") && len(content.Bytes) == 0
		switch {
		case err != nil:
			return probe.Sample{}, err
		case !content.Missing && !marker:
			return show(at.Key, content), nil
		case !content.Missing:
			return probe.Sample{}, errFolder
		}
	}
	return first(ctx, s, at, inside)
}

// first reads the first file of a page of what is in a folder.
func first(ctx context.Context, s Store, at Location, inside Page) (probe.Sample, error) {
	if len(inside.Objects)+len(inside.Folders) == 0 {
		return probe.Sample{}, errNotThere
	}
	for _, o := range inside.Objects {
		switch {
		case !strings.HasPrefix(o.Key, asFolder(at.Key)) || o.Size < 0:
			return probe.Sample{}, errForeign
		case !isFile(o):
			continue
		}
		content, err := s.Read(ctx, Location{Bucket: at.Bucket, Key: o.Key}, probe.MaxSampleBytes)
		switch {
		case err != nil:
			return probe.Sample{}, err
		case content.Missing: // deleted since
			return probe.Sample{}, errNotThere
		}
		sample := show(o.Key, content)
		sample.Path = at.Bucket + "/" + o.Key
		return sample, nil
	}
	return probe.Sample{}, errFolder
}

// isFile tells a file from the marker of a folder, and from what a server on the
// way could read as another path (RFC 3986, section 5.2.4).
func isFile(o Object) bool {
	parts := strings.Split(o.Key, "/")
	return (o.Size > 0 || !strings.HasSuffix(o.Key, "/")) && !slices.Contains(parts, ".") && !slices.Contains(parts, "..")
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
