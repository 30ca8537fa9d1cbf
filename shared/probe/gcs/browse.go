package gcsprobe

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"credence/shared/probe"
	"credence/shared/probe/objectstore"
	"credence/shared/secret"
)

var _ probe.Browser = Prober{}

// Places are paths: names of objects in the credential's bucket, or in any,
// with the bucket before them, where the credential names none.
func (Prober) Places() probe.Places { return probe.InFiles }

// Tree lists folders and files, or the buckets of the project as folders where
// neither the credential nor the path names one.
func (p Prober) Tree(ctx context.Context, a *probe.Attempt, at probe.Place, depth int) (probe.Tree, probe.Finding) {
	var tree probe.Tree
	f := p.look(ctx, a, at, func(v *view, where objectstore.Location) (err error) {
		tree, err = objectstore.Tree(ctx, v, where, depth)
		return err
	})
	return tree, f
}

// Sample reads the beginning of an object, with Range.
func (p Prober) Sample(ctx context.Context, a *probe.Attempt, at probe.Place) (probe.Sample, probe.Finding) {
	var sample probe.Sample
	f := p.look(ctx, a, at, func(v *view, where objectstore.Location) (err error) {
		sample, err = objectstore.Sample(ctx, v, where)
		return err
	})
	return sample, f
}

// look reads settings and place, signs in, and does the rest.
func (p Prober) look(ctx context.Context, a *probe.Attempt, at probe.Place, do func(*view, objectstore.Location) error) probe.Finding {
	var what plan
	var where objectstore.Location
	err := a.Stage(probe.Policy, func() (err error) {
		if what, err = readPlan(a.Settings()); err != nil {
			return err
		}
		where, err = what.locate(at.Path)
		return err
	})
	if err != nil {
		return a.Explain(err)
	}
	v := &view{google: p.newGoogle(a), plan: what, access: what.token}
	v.client.Stay()
	if what.account != nil {
		err = a.Stage(probe.Auth, func() (err error) {
			v.access, err = v.accessToken(ctx, *what.account)
			return err
		})
		if err != nil {
			return own(a.Explain(err))
		}
	}
	if err := a.Stage(probe.Access, func() error { return do(v, where) }); err != nil {
		return own(a.Explain(err))
	}
	return probe.Found(probe.CodeOK, "")
}

// locate reads a path. That of the list of buckets needs a project.
func (p plan) locate(path string) (objectstore.Location, error) {
	where, err := objectstore.Locate(path, scheme, p.bucket)
	switch {
	case err != nil:
		return where, err
	case where != (objectstore.Location{}):
		if !bucketName.MatchString(where.Bucket) {
			return where, errNotABucket.Asked(probe.AskedPath)
		}
	case p.project == "":
		return where, probe.Found(probe.WarnResourceNotFound, "The credential names neither a bucket nor a project, so there is no list to look at. Name a bucket as the first part of the path, or the project in the credential.").Asked(probe.AskedPath)
	}
	return where, nil
}

// view is Google's storage as its trees and samples see it.
type view struct {
	*google
	plan
	access secret.Value // the token that is shown
}

var _ objectstore.Store = (*view)(nil)

// Buckets lists the buckets of the project.
func (v *view) Buckets(ctx context.Context, q objectstore.Query) (objectstore.Page, error) {
	query := url.Values{"project": {v.project}, "fields": {"kind,nextPageToken,items(name)"}}
	page, items, found, err := v.list(ctx, read{"b", kindBuckets, fieldProject}, query, q)
	f, known := v.remedy(found.why, fieldProject)
	switch {
	case err != nil:
		return page, err
	case known:
		return page, f
	case found.kind == missing:
		return page, probe.Found(probe.WarnResourceNotFound, "There is no such project. Check its id.").At(fieldProject)
	case found.kind != accepted:
		return page, probe.Found(probe.WarnScopeMissing, "The account may not list the buckets of this project. Have it granted storage.buckets.list, or name a bucket as the first part of the path.").At(fieldProject)
	}
	for _, b := range items {
		if b.Name == "" || strings.Contains(b.Name, "/") {
			return page, errNotGoogle
		}
		page.Folders = append(page.Folders, b.Name+"/")
	}
	return page, nil
}

// List lists objects of a bucket.
func (v *view) List(ctx context.Context, bucket string, q objectstore.Query) (objectstore.Page, error) {
	if !bucketName.MatchString(bucket) { // what a list of buckets says
		return objectstore.Page{}, probe.Found(probe.WarnScopeMissing, "This is no bucket that can be looked into. Name another.").Asked(probe.AskedPath)
	}
	query := url.Values{"fields": {"kind,nextPageToken,prefixes,items(name,size,timeCreated,updated)"}}
	if q.Prefix != "" {
		query.Set("prefix", q.Prefix)
	}
	if !q.Flat {
		query.Set("delimiter", "/")
	}
	page, items, found, err := v.list(ctx, read{objectsOf(bucket), kindObjects, v.bucketField}, query, q)
	f, known := v.remedy(found.why, v.bucketField)
	switch {
	case err != nil:
		return page, err
	case known:
		return page, f
	case found.kind == missing:
		return page, v.point(probe.Found(probe.WarnResourceNotFound, "There is no bucket of this name. Check it."), true)
	case found.kind != accepted:
		return page, v.point(probe.Found(probe.WarnScopeMissing, "The account may not list this place. Have it granted storage.objects.list on the bucket, or look at another."), q.Prefix == "")
	}
	for _, o := range items {
		page.Objects = append(page.Objects, objectstore.Object{Key: o.Name, Size: o.Size, Created: o.Created, Modified: o.Updated})
	}
	return page, nil
}

// item is an object, or a bucket, which has a name alone.
type item struct {
	Name    string    `json:"name"`
	Size    int64     `json:"size,string"`
	Created time.Time `json:"timeCreated"`
	Updated time.Time `json:"updated"`
}

// list asks for a page. Of an answer that is cut off nothing is read. The error
// is a Finding, that of a refused token among them.
func (v *view) list(ctx context.Context, r read, query url.Values, q objectstore.Query) (objectstore.Page, []item, outcome, error) {
	query.Set("maxResults", strconv.Itoa(q.Keys))
	if q.After != "" {
		query.Set("pageToken", q.After)
	}
	got, err := v.begin(ctx, v.api+r.path+"?"+query.Encode(), q.Bytes, false, v.access)
	if err != nil {
		return objectstore.Page{}, nil, outcome{}, err
	}
	page := objectstore.Page{Bytes: len(got.body), Cut: got.more && got.status == http.StatusOK}
	found, err := got.sort()
	if err == nil {
		err = v.settle(found)
	}
	if err != nil || found.kind != accepted || page.Cut {
		return page, nil, found, err
	}
	var listing struct {
		Kind     string   `json:"kind"`
		Next     string   `json:"nextPageToken"`
		Prefixes []string `json:"prefixes"`
		Items    []item   `json:"items"`
	}
	if json.Unmarshal(got.body, &listing) != nil || listing.Kind != r.kind {
		return page, nil, outcome{}, errNotGoogle
	}
	page.Folders, page.Next = listing.Prefixes, listing.Next
	return page, listing.Items, found, nil
}

// Read reads the beginning of an object. With alt=media Google words refusals
// otherwise than elsewhere, so that the status alone is read.
func (v *view) Read(ctx context.Context, at objectstore.Location, most int) (objectstore.Content, error) {
	if at.Key == "." || at.Key == ".." { // no object is called so, and a URL means its folder by it
		return objectstore.Content{Missing: true}, nil
	}
	address := v.api + objectsOf(at.Bucket) + "/" + url.PathEscape(at.Key) + "?alt=media"
	got, err := v.begin(ctx, address, most, true, v.access)
	if err != nil {
		return objectstore.Content{}, err
	}
	if f, ok := got.unavailable(); ok {
		return objectstore.Content{}, f
	}
	switch got.status {
	case http.StatusOK, http.StatusPartialContent:
		return objectstore.Content{Bytes: got.body, More: got.more, Type: got.about}, nil
	case http.StatusRequestedRangeNotSatisfiable: // there is no first byte
		return objectstore.Content{}, nil
	}
	found := outcome{kind: got.plainly()}
	if found.kind == missing {
		return objectstore.Content{Missing: true}, nil
	}
	if err := v.settle(found); err != nil {
		return objectstore.Content{}, err
	}
	return objectstore.Content{}, probe.Found(probe.WarnScopeMissing, "The account may not read this file. Have it granted storage.objects.get on it, or name another.").Asked(probe.AskedPath)
}

// settle records what an answer says of the secret: an error if it was refused.
// Google looks at it before it looks at anything else.
func (v *view) settle(found outcome) error {
	return v.attempt.Stage(probe.Auth, func() error {
		if found.kind == refused {
			return v.refused(found.why)
		}
		return nil
	})
}

// point names the setting, or the field of the request, that named a bucket
// (whole), or the path in it.
func (v *view) point(f probe.Finding, whole bool) probe.Finding {
	if whole && v.bucket != "" {
		return f.At(v.bucketField)
	}
	return f.Asked(probe.AskedPath)
}
