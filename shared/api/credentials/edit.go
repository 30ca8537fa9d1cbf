package credentials

import (
	"context"
	"slices"

	"credence/shared/access"
	"credence/shared/credential"
	"credence/shared/fault"
	"credence/shared/httpapi"
)

// Creating makes credentials. It can seal and cannot open.
type Creating struct{ Editor credential.Editor }

// Routes lists the family's routes.
func (a Creating) Routes() []httpapi.Route {
	return []httpapi.Route{{Pattern: "POST /data_credentials", Needs: access.Create, Handle: a.create}}
}

func (a Creating) create(ctx context.Context, r *httpapi.Request) (httpapi.Answer, error) {
	idem, err := r.Idempotency()
	if err != nil {
		return httpapi.Answer{}, err
	}
	idem.Body = r.Bytes() // as releases before had it, whose rows are still there for a day
	d, err := draft(r)
	if err != nil {
		return httpapi.Answer{}, err
	}
	v, err := a.Editor.Create(ctx, r.Caller, d, idem)
	if err != nil {
		return httpapi.Answer{}, err
	}
	return tagged(v, renderer{a.Editor.Types}.full(v)), nil
}

// Editing changes and deletes credentials. It can seal and cannot open.
type Editing struct{ Editor credential.Editor }

// Routes lists the family's routes.
func (a Editing) Routes() []httpapi.Route {
	return []httpapi.Route{
		httpapi.On("PUT "+path, access.Update, a.update),
		httpapi.On("DELETE "+path, access.Delete, a.delete),
		httpapi.On("PUT "+path+"/tags", access.Update, a.editTags(addTags)),
		httpapi.On("POST "+path+"/tags", access.Update, a.editTags(replaceTags)),
		httpapi.On("DELETE "+path+"/tags", access.Update, a.editTags(removeTags)),
		httpapi.On("PUT "+path+"/accessors", access.Share, a.share(credential.Add)),
		httpapi.On("POST "+path+"/accessors", access.Share, a.share(credential.Replace)),
		httpapi.On("DELETE "+path+"/accessors", access.Share, a.share(credential.Remove)),
		httpapi.On("POST "+path+"/rollback", access.Update, a.rollBack),
		httpapi.On("POST "+path+"/referenced_by", access.Use, a.link(true)),
		httpapi.On("DELETE "+path+"/referenced_by", access.Use, a.link(false)),
	}
}

func (a Editing) answer(v credential.View, err error) (httpapi.Answer, error) {
	if err != nil {
		return httpapi.Answer{}, err
	}
	return tagged(v, renderer{a.Editor.Types}.full(v)), nil
}

func (a Editing) update(ctx context.Context, r *httpapi.Request, l *credential.ForChange) (httpapi.Answer, error) {
	d, err := draft(r)
	if err != nil {
		return httpapi.Answer{}, err
	}
	d.IfMatch = ifMatch(r)
	return a.answer(a.Editor.Update(ctx, r.Caller, l, d))
}

type deleted struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (a Editing) delete(ctx context.Context, r *httpapi.Request, l *credential.ForChange) (httpapi.Answer, error) {
	if err := a.Editor.Delete(ctx, r.Caller, l, ifMatch(r)); err != nil {
		return httpapi.Answer{}, err
	}
	return httpapi.Answer{Body: deleted{Code: "200", Message: "Ok"}}, nil
}

func (a Editing) rollBack(ctx context.Context, r *httpapi.Request, l *credential.ForChange) (httpapi.Answer, error) {
	o, err := r.Body("version")
	if err != nil {
		return httpapi.Answer{}, err
	}
	o.Require("version")
	sv, _ := o.Int("version", 1, 1<<53-1)
	if err := o.Err(); err != nil {
		return httpapi.Answer{}, err
	}
	return a.answer(a.Editor.RollBack(ctx, r.Caller, l, sv, ifMatch(r)))
}

// changing is an endpoint that changes a credential.
type changing = func(context.Context, *httpapi.Request, *credential.ForChange) (httpapi.Answer, error)

// tagEdit makes the new tags of the current ones and those sent; nil stands for
// a request without a body.
type tagEdit func(current, sent []string) []string

func addTags(current, sent []string) []string {
	for _, tag := range sent {
		if !slices.Contains(current, tag) {
			current = append(current, tag)
		}
	}
	return current
}

func replaceTags(_, sent []string) []string { return sent }

func removeTags(current, sent []string) []string {
	if sent == nil {
		return []string{}
	}
	return slices.DeleteFunc(current, func(tag string) bool { return slices.Contains(sent, tag) })
}

func (a Editing) editTags(edit tagEdit) changing {
	return func(ctx context.Context, r *httpapi.Request, l *credential.ForChange) (httpapi.Answer, error) {
		sent, err := sentTags(r)
		if err != nil {
			return httpapi.Answer{}, err
		}
		return a.answer(a.Editor.EditTags(ctx, r.Caller, l, ifMatch(r), func(current []string) []string {
			return edit(current, sent)
		}))
	}
}

// sentTags reads a bare list of names or an object that holds one. Only a
// DELETE may come without: it means all.
func sentTags(r *httpapi.Request) ([]string, error) {
	if r.HTTP.Method == "DELETE" && !r.HasBody() {
		return nil, nil
	}
	o, err := r.BodyList("tags")
	if err != nil {
		return nil, err
	}
	tags, state := o.Texts("tags", 1000, tagRule)
	if state != httpapi.Present && o.Err() == nil {
		o.Fault("tags", fault.DetailRequired, "Send the tags as a list of names.")
	}
	return tags, o.Err()
}
