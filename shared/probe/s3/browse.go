package s3probe

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"credence/shared/probe"
	"credence/shared/probe/objectstore"
)

var _ probe.Browser = Prober{}

// Places are paths: keys of the credential's bucket, or of any, with the bucket
// before it, where the credential names none.
func (Prober) Places() probe.Places { return probe.InFiles }

// Tree lists folders and files, or buckets as folders where neither the
// credential nor the path names one. The times of a file are those of its last
// change: a store keeps no others.
func (p Prober) Tree(ctx context.Context, a *probe.Attempt, at probe.Place, depth int) (probe.Tree, probe.Finding) {
	var tree probe.Tree
	f := p.look(a, at, func(v *view, where objectstore.Location) (err error) {
		tree, err = objectstore.Tree(ctx, v, where, depth)
		return err
	})
	return tree, f
}

// Sample reads the beginning of an object, with Range.
func (p Prober) Sample(ctx context.Context, a *probe.Attempt, at probe.Place) (probe.Sample, probe.Finding) {
	var sample probe.Sample
	f := p.look(a, at, func(v *view, where objectstore.Location) error {
		err := a.Stage(probe.Policy, func() error { return straight(where.Key) })
		if err == nil {
			sample, err = objectstore.Sample(ctx, v, where)
		}
		return err
	})
	return sample, f
}

// straight refuses keys that stand in a URL's path for another: a server on the
// way may read them so (RFC 3986 §5.2.4).
func straight(key string) error {
	parts := strings.Split(key, "/")
	if slices.Contains(parts, ".") || slices.Contains(parts, "..") {
		return probe.Found(probe.CodeDestinationBlocked, "A folder or file that is called . or .. is not read, since another could be meant on the way. Read it where the credential is used.").Asked(probe.AskedPath)
	}
	return nil
}

// look reads settings and place, and does the rest.
func (p Prober) look(a *probe.Attempt, at probe.Place, do func(*view, objectstore.Location) error) probe.Finding {
	var t target
	var where objectstore.Location
	err := a.Stage(probe.Policy, func() (err error) {
		if t, err = readTarget(a.Settings()); err != nil {
			return err
		}
		where, err = objectstore.Locate(at.Path, "s3://", t.bucket)
		if err == nil && where != (objectstore.Location{}) && !isBucket(where.Bucket) {
			return errNotABucket.Asked(probe.AskedPath)
		}
		return err
	})
	if err != nil {
		return a.Explain(err)
	}
	a.Locate(t.place(), t.place())
	v := &view{store: newStore(a, t, p.amazon)}
	v.client.Stay()
	if err := a.Stage(probe.Access, func() error { return do(v, where) }); err != nil {
		return a.Explain(err)
	}
	return probe.Found(probe.CodeOK, "")
}

// view is a store as its trees and samples see it.
type view struct {
	*store
	listed atomic.Bool // a signature was good
}

var _ objectstore.Store = (*view)(nil)

// List lists keys of a bucket.
func (v *view) List(ctx context.Context, bucket string, q objectstore.Query) (objectstore.Page, error) {
	if !isBucket(bucket) { // the store's word, which the SDK would take for a host
		return objectstore.Page{}, probe.Found(probe.WarnScopeMissing, "This is no bucket that can be looked into. Name another.").Asked(probe.AskedPath)
	}
	in := &s3.ListObjectsV2Input{
		Bucket: &bucket, Prefix: some(q.Prefix), ContinuationToken: some(q.After),
		MaxKeys: aws.Int32(int32(q.Keys)), EncodingType: "url", // XML holds no control characters
	}
	if !q.Flat {
		in.Delimiter = aws.String("/")
	}
	var out *s3.ListObjectsV2Output
	r := &request{client: v.client, most: q.Bytes}
	got := v.answer(ctx, func(ctx context.Context, s *store, r *request) (err error) {
		out, err = s.s3(r).ListObjectsV2(ctx, in)
		switch {
		case r.cut():
			return nil // what the SDK makes of half a list is not looked at
		case err == nil && aws.ToString(out.Name) != bucket:
			return errNotAStore.At(s.place())
		}
		return err
	}, r)
	page := objectstore.Page{Bytes: r.got.bytes, Cut: r.cut()}
	if err := v.allowed(got, q.Prefix == ""); err != nil || page.Cut {
		return page, err
	}
	return read(page, out), nil
}

// read takes the entries of a list over into a page.
func read(page objectstore.Page, out *s3.ListObjectsV2Output) objectstore.Page {
	name := func(text *string) string {
		if out.EncodingType == "url" { // a store may not have heeded it
			return decoded(aws.ToString(text))
		}
		return aws.ToString(text)
	}
	for _, o := range out.Contents {
		at := aws.ToTime(o.LastModified)
		page.Objects = append(page.Objects, objectstore.Object{Key: name(o.Key), Size: aws.ToInt64(o.Size), Created: at, Modified: at})
	}
	for _, p := range out.CommonPrefixes {
		page.Folders = append(page.Folders, name(p.Prefix))
	}
	if aws.ToBool(out.IsTruncated) {
		page.Next = aws.ToString(out.NextContinuationToken)
		page.Lost = page.Next == "" // the store answers as to the first version of this request
	}
	return page
}

// Buckets lists the buckets of the keys.
func (v *view) Buckets(ctx context.Context, q objectstore.Query) (objectstore.Page, error) {
	var out *s3.ListBucketsOutput
	r := &request{client: v.client, most: q.Bytes}
	got := v.answer(ctx, func(ctx context.Context, s *store, r *request) (err error) {
		out, err = s.s3(r).ListBuckets(ctx, &s3.ListBucketsInput{MaxBuckets: aws.Int32(int32(q.Keys)), ContinuationToken: some(q.After)})
		switch {
		case r.cut():
			return nil
		case err == nil && out.Buckets == nil && out.Owner == nil:
			return errNotAStore.At(s.place())
		}
		return err
	}, r)
	page := objectstore.Page{Bytes: r.got.bytes, Cut: r.cut()}
	if got.kind == denied || got.kind == other {
		return page, probe.Found(probe.WarnScopeMissing, "The store does not let these keys list their buckets. Name a bucket as the first part of the path, or in the credential.").Asked(probe.AskedPath)
	}
	if err := v.allowed(got, true); err != nil || page.Cut {
		return page, err
	}
	for _, b := range out.Buckets {
		name := aws.ToString(b.Name)
		if name == "" || strings.Contains(name, "/") {
			return page, errNotAStore.At(v.place())
		}
		page.Folders = append(page.Folders, name+"/")
	}
	page.Next = aws.ToString(out.ContinuationToken)
	return page, nil
}

// Read reads the beginning of an object.
func (v *view) Read(ctx context.Context, at objectstore.Location, most int) (objectstore.Content, error) {
	// One byte more than is wanted tells whether there are more.
	in := &s3.GetObjectInput{Bucket: &at.Bucket, Key: &at.Key, Range: aws.String("bytes=0-" + strconv.Itoa(most))}
	var content objectstore.Content
	got := v.answer(ctx, func(ctx context.Context, s *store, r *request) error {
		out, err := s.s3(r).GetObject(ctx, in)
		if err != nil {
			return err
		}
		defer func() { _ = out.Body.Close() }()
		content.Bytes, err = io.ReadAll(out.Body)
		content.More, content.Type = r.got.more, aws.ToString(out.ContentType)
		return err
	}, &request{client: v.client, most: most})
	switch {
	case got.kind == misplaced:
		return objectstore.Content{Missing: true}, nil
	case got.kind == other && got.code == "InvalidRange": // there is no first byte
		return objectstore.Content{}, nil
	}
	return content, v.readable(got)
}

func some(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
