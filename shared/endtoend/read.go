package endtoend

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func escape(s string) string { return url.QueryEscape(s) }

func readChecks() []check {
	return []check{
		{"what is not there is 404", readUnknown},
		{"a known path answers every method", readMethods},
		{"an admin of the organisation sees what a user made", readAsAdmin},
		{"another user sees nothing", readAsStranger},
	}
}

// nowhere are ids that no credential has, and what is no id.
var nowhere = []string{"9007199254740991", "1", "0", "-1", "9007199254740993", "99999999999999999999", "abc", "1e3", "1.0", "0x10", "%20", "5%2F6"}

func readUnknown(t *testing.T, su *suite) {
	for _, unknown := range nowhere {
		for _, rest := range []string{"", "/credentials", "/audit_log", "/tags", "/probe/history"} {
			su.admin.get(t, "/data_credentials/"+unknown+rest).refused(t, http.StatusNotFound, "")
		}
		su.admin.put(t, "/data_credentials/"+unknown, object{"name": "x"}).refused(t, http.StatusNotFound, "")
		su.admin.delete(t, "/data_credentials/"+unknown, nil).refused(t, http.StatusNotFound, "")
		su.admin.put(t, "/data_credentials/"+unknown+"/probe", nil).refused(t, http.StatusNotFound, "")
	}
	for _, path := range []string{"/nothing", "/data_credentials/1/nothing", "/data_credentials/", "/data_credentials/schema/x"} {
		su.admin.get(t, path).refused(t, http.StatusNotFound, "route_not_found")
	}
}

// readMethods asks known paths with methods that are no route of theirs. What HEAD
// answers where GET is another function's is left to each deployment.
func readMethods(t *testing.T, su *suite) {
	for _, row := range []struct{ method, path, allows string }{
		{http.MethodPatch, "/data_credentials", "GET POST OPTIONS"},
		{http.MethodDelete, "/data_credentials", "GET POST OPTIONS"},
		{http.MethodPatch, "/data_credentials/1", "GET PUT DELETE OPTIONS"},
		{http.MethodPut, "/token", "POST OPTIONS"},
		{http.MethodDelete, "/users/current", "GET OPTIONS"},
		{http.MethodTrace, "/health", "GET HEAD OPTIONS"},
		{http.MethodOptions, "/data_credentials", "GET POST OPTIONS"},
		{http.MethodOptions, "/token", "POST OPTIONS"},
	} {
		r := su.admin.send(t, row.method, row.path, nil)
		if row.method != http.MethodOptions {
			r.refused(t, http.StatusMethodNotAllowed, "method_not_allowed")
		} else if r.code != http.StatusNoContent {
			t.Errorf("%s %s: %d, want 204", row.method, row.path, r.code)
		}
		allow := strings.Split(r.header.Get("Allow"), ", ")
		for method := range strings.FieldsSeq(row.allows) {
			if !slices.Contains(allow, method) {
				t.Errorf("%s %s: Allow is %q, without %s", row.method, row.path, allow, method)
			}
		}
	}
	for _, path := range []string{"/", "/health", "/data_credentials", "/data_credentials/1"} {
		get, head := su.admin.get(t, path), su.admin.send(t, http.MethodHead, path, nil)
		if head.code != get.code || len(head.body) != 0 || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
			t.Errorf("HEAD %s: %d with %d bytes, %v; GET %d, %v", path, head.code, len(head.body), head.header, get.code, get.header)
		}
	}
	if r := su.admin.get(t, "/"); r.code != http.StatusFound || r.header.Get("Location") != "/docs" {
		t.Errorf("GET /: %d, Location %q; want 302 to /docs", r.code, r.header.Get("Location"))
	}
}

func readAsAdmin(t *testing.T, su *suite) {
	member := su.needMember(t)
	name := label("a user's")
	c := member.create(t, su.s3(name))
	r := su.admin.get(t, c.path).ok(t).form(t, fullForm)
	if got := texts(r.at("access_roles")); !slices.Equal(got, []string{"admin"}) {
		t.Errorf("the admin's role is %q", got)
	}
	if r.at("credentials_non_secure_data", "bucket") != "reports-2031" || r.int("owner", "id") != member.user {
		t.Error("the admin sees another credential than its owner made")
	}
	if len(su.admin.named(t, name)) != 1 {
		t.Error("the admin's list lacks it")
	}
	if owned := su.admin.get(t, "/data_credentials?name="+escape(name)).ok(t); len(owned.items()) != 0 {
		t.Error("without access_role the list holds what the caller does not own")
	}
	if admins := su.admin.get(t, "/data_credentials?access_role=admin&name="+escape(name)).ok(t); len(admins.items()) != 1 {
		t.Error("access_role=admin lacks what the caller administers")
	}
	// No role implies the secret.
	su.admin.get(t, c.path+"/credentials").refused(t, http.StatusForbidden, "forbidden")
	su.admin.put(t, c.path, object{"description": "seen to"}).ok(t)
	su.admin.get(t, c.path+"/audit_log").ok(t).form(t, list(auditForm))
	su.admin.delete(t, c.path, nil).ok(t)
	member.get(t, c.path).refused(t, http.StatusNotFound, "not_found")
}

func readAsStranger(t *testing.T, su *suite) {
	member := su.needMember(t)
	c := su.admin.create(t, su.s3(label("the admin's")))
	su.invisible(t, member, c)
}

func listChecks() []check {
	return []check{
		{"pages of a list", listPages},
		{"ten on a page that says no number", listTen},
		{"the lists of one credential", listsOfOne},
		{"the order of a list", listOrder},
		{"filters of a list", listFilters},
		{"parameters of a list that are wrong", listFaults},
		{"a list is walked by its links while it changes", listWalked},
		{"a parameter that a route does not take is refused", unknownParameters},
	}
}

// several makes some credentials under a tag of their own, oldest first.
func (su *suite) several(t *testing.T, n int) (tag string, made []credential) {
	t.Helper()
	tag = "t" + random()[:12]
	for i := range n {
		made = append(made, su.admin.create(t, with(su.s3(label("row "+strconv.Itoa(i))), object{"tags": []string{tag}})))
	}
	return tag, made
}

// wantHeaders compares counting headers; "" means absent.
func (r *reply) wantHeaders(t *testing.T, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := r.header.Get(name); got != value {
			t.Errorf("%s: header %s is %q, want %q", r.asked, name, got, value)
		}
	}
}

func (r *reply) ids() []int64 {
	var out []int64
	for _, item := range r.items() {
		out = append(out, toInt(item.(object)["id"]))
	}
	return out
}

func idsOf(made []credential) []int64 {
	var out []int64
	for _, c := range made {
		out = append(out, c.id)
	}
	return out
}

func listPages(t *testing.T, su *suite) {
	tag, made := su.several(t, 5)
	slices.Reverse(made) // newest first
	want := idsOf(made)
	all := su.admin.get(t, "/data_credentials?tags="+tag).ok(t).form(t, list(indexForm))
	all.wantHeaders(t, map[string]string{"X-Total-Count": "5", "X-Current-Page": "", "X-Page-Count": "", "X-Total-Page-Count": "", "Link": ""})
	if !slices.Equal(all.ids(), want) {
		t.Errorf("the list holds %v, want %v", all.ids(), want)
	}
	for page, c := range map[int]struct {
		ids            []int64
		previous, next bool
	}{1: {want[:2], false, true}, 2: {want[2:4], true, true}, 3: {want[4:], true, false}, 4: {nil, true, false}} {
		r := su.admin.get(t, "/data_credentials?tags="+tag+"&per_page=2&page="+strconv.Itoa(page)).ok(t).form(t, list(indexForm))
		r.wantHeaders(t, map[string]string{
			"X-Total-Count": "5", "X-Current-Page": strconv.Itoa(page), "X-Page-Count": strconv.Itoa(len(c.ids)), "X-Total-Page-Count": "3",
		})
		if !slices.Equal(r.ids(), c.ids) {
			t.Errorf("page %d holds %v, want %v", page, r.ids(), c.ids)
		}
		links := strings.Join(r.header.Values("Link"), ", ")
		if page < 4 && (strings.Contains(links, `rel="Previous"`) != c.previous || strings.Contains(links, `rel="Next"`) != c.next) {
			t.Errorf("page %d links to %q", page, links)
		}
		if c.next {
			su.followNext(t, links, tag, page+1)
		}
	}
}

// followNext asks for the page that a link names: it keeps the other parameters.
func (su *suite) followNext(t *testing.T, links, tag string, page int) {
	t.Helper()
	for part := range strings.SplitSeq(links, ",") {
		if !strings.Contains(part, `rel="Next"`) {
			continue
		}
		address, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(part), "<"), ">")
		u, err := url.Parse(address)
		if err != nil {
			t.Errorf("a link is no URL: %v", err)
			return
		}
		q := u.Query()
		if q.Get("tags") != tag || q.Get("per_page") != "2" || q.Get("page") != strconv.Itoa(page) {
			t.Errorf("the link to page %d asks for %q", page, u.RawQuery)
		}
		if !strings.HasSuffix(u.Path, "/data_credentials") {
			t.Errorf("the link leads to %q", u.Path)
		}
	}
}

func listTen(t *testing.T, su *suite) {
	tag, _ := su.several(t, 11)
	r := su.admin.get(t, "/data_credentials?page=1&tags="+tag).ok(t)
	r.wantHeaders(t, map[string]string{"X-Total-Count": "11", "X-Page-Count": "10", "X-Total-Page-Count": "2"})
	if len(r.items()) != 10 {
		t.Errorf("a page holds %d", len(r.items()))
	}
	r = su.admin.get(t, "/data_credentials?per_page=1000&tags="+tag).ok(t)
	r.wantHeaders(t, map[string]string{"X-Total-Count": "11", "X-Current-Page": "1", "X-Page-Count": "11", "X-Total-Page-Count": "1"})
	empty := su.admin.get(t, "/data_credentials?tags=none"+random()).ok(t)
	empty.wantHeaders(t, map[string]string{"X-Total-Count": "0"})
	if string(empty.body) != "[]" {
		t.Errorf("an empty list is %q", empty.body)
	}
}

func listsOfOne(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("lists")))
	su.admin.put(t, c.path, object{"credentials": su.s3Secrets()}).ok(t)
	for _, id := range []int{10, 9} {
		su.admin.post(t, c.path+"/referenced_by", object{"type": "job", "id": id}).ok(t)
	}
	for rest, total := range map[string]string{"/versions": "2", "/probe/history": "0", "/referenced_by": "2", "/audit_log": "4"} {
		su.admin.get(t, c.path+rest).ok(t).wantHeaders(t, map[string]string{"X-Total-Count": total, "X-Current-Page": ""})
		r := su.admin.get(t, c.path+rest+"?per_page=1").ok(t)
		r.wantHeaders(t, map[string]string{"X-Total-Count": total, "X-Current-Page": "1", "X-Total-Page-Count": total})
		if next := linked(r, "Next"); (next != "") != (total != "0") || next != "" && len(su.admin.get(t, next).ok(t).items()) != 1 {
			t.Errorf("%s links to %q", rest, next)
		}
	}
	if first, _ := su.admin.get(t, c.path+"/referenced_by?per_page=1").ok(t).items()[0].(object); toInt(first["id"]) != 9 {
		t.Errorf("references begin with %v", first)
	}
}

func listOrder(t *testing.T, su *suite) {
	tag, made := su.several(t, 4)
	for i, name := range []string{"delta", "alpha", "charlie", "bravo"} {
		su.admin.put(t, made[i].path, object{"name": name}).ok(t)
	}
	su.admin.put(t, made[1].path, object{"description": "touched last"}).ok(t)
	by := func(order ...int) []int64 {
		var out []int64
		for _, i := range order {
			out = append(out, made[i].id)
		}
		return out
	}
	for query, want := range map[string][]int64{
		"":                                    by(3, 2, 1, 0),
		"sort_order=ASC":                      by(0, 1, 2, 3),
		"sort_by=created_at&sort_order=DESC":  by(3, 2, 1, 0),
		"sort_by=name&sort_order=ASC":         by(1, 3, 2, 0),
		"sort_by=name":                        by(0, 2, 3, 1),
		"sort_by=id&sort_order=ASC":           by(0, 1, 2, 3),
		"sort_by=updated_at":                  by(1, 3, 2, 0),
		"sort_by=name&per_page=2&page=2":      by(3, 1),
		"sort_by=updated_at&sort_order=ASC":   by(0, 2, 3, 1),
		"sort_by=created_at&per_page=3":       by(3, 2, 1),
		"sort_order=ASC&per_page=3&page=2":    by(3),
		"sort_by=id&sort_order=DESC&per_page": nil,
	} {
		r := su.admin.get(t, "/data_credentials?tags="+tag+"&"+query)
		if want == nil {
			r.refused(t, http.StatusBadRequest, "")
			continue
		}
		if r.ok(t); !slices.Equal(r.ids(), want) {
			t.Errorf("%s gives %v, want %v", query, r.ids(), want)
		}
	}
}

func listFilters(t *testing.T, su *suite) {
	tag := "f" + random()[:12]
	s3 := su.admin.create(t, with(su.s3(label("filter s3")), object{"tags": []string{tag, "kept"}}))
	pg := su.admin.create(t, with(su.postgres(label("filter pg")), object{"tags": []string{tag}}))
	for query, want := range map[string][]int64{
		"tags=" + tag:                                       {pg.id, s3.id},
		"tags=" + tag + "&credentials_type=s3":              {s3.id},
		"tags=" + tag + "&credentials_type=postgres":        {pg.id},
		"tags=" + tag + "&credentials_type=mysql":           nil,
		"tags=" + tag + "&validity=untested":                {pg.id, s3.id},
		"tags=" + tag + "&validity=valid":                   nil,
		"tags=" + tag + "&validity=invalid":                 nil,
		"tags=" + tag + "&validity=unknown":                 nil,
		"name=" + escape(s3.text("name")):                   {s3.id},
		"tags=" + tag + "&name=FILTER":                      {pg.id, s3.id},
		"tags=" + tag + "&name=lter%20s3":                   {s3.id},
		"tags=" + tag + "&connector_type=s3":                {s3.id},
		"id=" + strconv.FormatInt(s3.id, 10):                {s3.id},
		fmt.Sprintf("id=%d,%d,1", s3.id, pg.id):             {pg.id, s3.id},
		"tags=" + tag + "&status=UNVERIFIED":                {pg.id, s3.id},
		"tags=" + tag + "&status=verified":                  nil,
		"tags=" + tag + "&status=200%20Ok":                  nil,
		"tags=" + tag + "&brief=True":                       {pg.id, s3.id},
		"tags=" + tag + "&vendor_id=7":                      nil,
		"tags=" + tag + "&auth_template_name=x":             nil,
		"tags=" + tag + "&org_id=1":                         nil,
		fmt.Sprintf("tags=%s&org_id=%d", tag, su.admin.org): {pg.id, s3.id},
		"tags=" + tag + "&access_role=collaborator":         {pg.id, s3.id},
		"tags=" + tag + "&access_role=owner":                {pg.id, s3.id},
	} {
		r := su.admin.get(t, "/data_credentials?"+query).ok(t).form(t, list(indexForm))
		if !slices.Equal(r.ids(), want) {
			t.Errorf("%s gives %v, want %v", query, r.ids(), want)
		}
		r.wantHeaders(t, map[string]string{"X-Total-Count": strconv.Itoa(len(want))})
	}
}

func listFaults(t *testing.T, su *suite) {
	for query, parameter := range map[string]string{
		"page=0": "page", "page=-1": "page", "page=x": "page", "page=1.5": "page", "page=99999999999999999999": "page",
		"per_page=0": "per_page", "per_page=1001": "per_page", "per_page=-5": "per_page", "per_page=": "per_page",
		"id=x": "id", "id=0": "id", "brief=maybe": "brief", "org_id=x": "org_id", "cursor=nonsense": "cursor", "per_page=2&cursor=AAAA": "cursor",
		"credentials_type=s3&connector_type=rest": "connector_type", "tag=x": "tags", "credential_type=s3": "credentials_type", "search=x": "name",
		"credentials_type=postgresql": "credentials_type", "credentials_type=canary": "credentials_type", "connector_type=S3": "connector_type",
		"sort_by=secret": "sort_by", "sort_order=UP": "sort_order", "access_role=king": "access_role", "validity=maybe": "validity",
		"expiring_within=": "expiring_within", "expiring_within=14": "expiring_within", "expiring_within=0d": "expiring_within",
		"expiring_within=30m": "expiring_within", "expiring_within=-1d": "expiring_within", "expiring_within=3651d": "expiring_within",
	} {
		r := su.admin.get(t, "/data_credentials?"+query).refused(t, http.StatusBadRequest, "")
		if !slices.ContainsFunc(r.pointers(), func(p string) bool { return strings.Contains(p, parameter) }) {
			t.Errorf("%s: no detail names the parameter: %q", query, r.pointers())
		}
	}
}
