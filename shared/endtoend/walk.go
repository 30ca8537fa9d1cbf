package endtoend

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// listWalked follows the links of a list, in each order, while a credential is
// made and another deleted between any two pages: each that stays is shown exactly
// once.
func listWalked(t *testing.T, su *suite) {
	for _, order := range []string{"sort_by=created_at", "sort_by=name&sort_order=ASC", "sort_by=updated_at", "sort_by=id&sort_order=ASC"} {
		tag, made := su.several(t, 7)
		doomed := []credential{made[0], made[3], made[6]}
		shown, rounds := map[int64]int{}, 0
		for target := "/data_credentials?per_page=2&tags=" + tag + "&" + order; target != ""; rounds++ {
			r := su.admin.get(t, target).ok(t)
			for _, id := range r.ids() {
				shown[id]++
			}
			if len(doomed) > 0 {
				su.admin.delete(t, doomed[0].path, nil).ok(t)
				doomed = doomed[1:]
				su.admin.create(t, with(su.s3(label("newcomer")), object{"tags": []string{tag}}))
			}
			target = linked(r, "Next")
		}
		for i, c := range made {
			if n := shown[c.id]; n > 1 || n == 0 && !slices.Contains([]int{0, 3, 6}, i) {
				t.Errorf("%s: row %d is shown %d times", order, i, n)
			}
		}
		if rounds < 3 {
			t.Errorf("%s: the links lead over %d pages", order, rounds)
		}
	}
}

// linked is where an answer links to; "" for nowhere.
func linked(r *reply, rel string) string {
	for part := range strings.SplitSeq(strings.Join(r.header.Values("Link"), ", "), ", <") {
		if address, rest, _ := strings.Cut(strings.TrimPrefix(part, "<"), ">"); strings.Contains(rest, `rel="`+rel+`"`) {
			return address
		}
	}
	return ""
}

// unknownParameters sends a parameter that no route takes to each of them. Nothing
// may be done then.
func unknownParameters(t *testing.T, su *suite) {
	c := su.admin.create(t, su.s3(label("asked oddly")))
	key, _ := su.admin.newKey(t, object{"name": label("asked oddly")})
	path := su.places(c.path, key)
	before := string(c.again(t).body)
	for _, route := range routes {
		r := su.admin.send(t, route.method, path.Replace(route.path)+"?frobnicate=1", su.plausible(route.method, route.path))
		r.refused(t, http.StatusBadRequest, "invalid_parameter")
	}
	if string(c.again(t).body) != before {
		t.Error("a request that was refused changed a credential")
	}
}
