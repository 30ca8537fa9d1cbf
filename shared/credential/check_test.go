package credential_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"credence/shared/audit"
	"credence/shared/store"
)

// check reads everything and reports whatever is half-written: each credential
// must have its rows in the lists, its place in the schedule, every version's
// record and an unbroken chain of changes, and nothing may be left of one that
// is gone but its log.
func (w *world) check() {
	w.Helper()
	w.checkOf("")
}

// checkOf is check, but for items left over under a sort key that begins with
// spared and that expire by themselves; "" spares none.
func (w *world) checkOf(spared string) {
	w.Helper()
	all := w.store.Everything(w.T)
	c := checker{w: w, all: all, expected: map[store.Key]bool{}}
	for k, i := range all {
		if k.Table == store.Meta && strings.HasPrefix(k.Sort, "CRED#") && !strings.Contains(strings.TrimPrefix(k.Partition, "ORG#"), "#") {
			c.credential(k, i)
		}
	}
	for k, i := range all {
		owned := strings.HasPrefix(k.Sort, "CRED#") || strings.HasPrefix(k.Sort, "SEC#") ||
			strings.HasPrefix(k.Partition, "DUE#") || strings.HasPrefix(k.Sort, "VER#") ||
			strings.HasPrefix(k.Sort, "RES#") || strings.HasPrefix(k.Sort, "USE#")
		if owned && !c.expected[k] && (spared == "" || !strings.HasPrefix(k.Sort, spared) || i.Expires.IsZero()) {
			w.Errorf("left over: %s %s %s", k.Table, k.Partition, k.Sort)
		}
	}
	for k, i := range all {
		if k.Table == store.Audit && k.Sort == "HEAD" {
			c.chain(k, i)
		}
	}
}

type checker struct {
	w        *world
	all      map[store.Key]store.Item
	expected map[store.Key]bool
}

func (c *checker) need(k store.Key) store.Item {
	c.w.Helper()
	c.expected[k] = true
	i, ok := c.all[k]
	if !ok {
		c.w.Errorf("missing: %s %s %s", k.Table, k.Partition, k.Sort)
	}
	return i
}

func (c *checker) credential(k store.Key, row store.Item) {
	c.w.Helper()
	var org, id int64
	if _, err := fmt.Sscanf(k.Partition+" "+k.Sort, "ORG#%d CRED#%d", &org, &id); err != nil {
		c.w.Errorf("%s %s: %v", k.Partition, k.Sort, err)
		return
	}
	a := row.Attributes
	c.expected[k] = true
	if got := c.need(store.Key{Table: store.Meta, Partition: fmt.Sprintf("ORG#%d#IDX", org), Sort: k.Sort}).Attributes.Int("owner"); got != a.Int("owner") {
		c.w.Errorf("credential %d: the list says owner %d, the row %d", id, got, a.Int("owner"))
	}
	c.need(store.Key{Table: store.Meta, Partition: fmt.Sprintf("ORG#%d#U#%d", org, a.Int("owner")), Sort: k.Sort})
	own := fmt.Sprintf("ORG#%d#C#%d", org, id)
	c.accessors(org, k.Sort, a, own)
	sum := sha256.Sum256(fmt.Appendf(nil, "%d", id))
	n := int(sum[0])<<8 | int(sum[1])
	switch a.Text("interval") {
	case "daily":
		c.need(store.Key{Table: store.Meta, Partition: fmt.Sprintf("DUE#D%04d", n%1440), Sort: own})
	case "hourly":
		c.need(store.Key{Table: store.Meta, Partition: fmt.Sprintf("DUE#H%02d", n%60), Sort: own})
	}
	versions, active := 0, false
	for vk := range c.all {
		if vk.Partition != own || vk.Table != store.Meta {
			continue
		}
		if strings.HasPrefix(vk.Sort, "RES#") || strings.HasPrefix(vk.Sort, "USE#") {
			c.expected[vk] = true
		}
		if strings.HasPrefix(vk.Sort, "USE#") {
			c.need(store.Key{Table: store.Meta, Partition: fmt.Sprintf("ORG#%d#USED", org), Sort: k.Sort})
		}
		var sv int64
		if _, err := fmt.Sscanf(vk.Sort, "VER#%d", &sv); err != nil {
			continue
		}
		c.expected[vk] = true
		versions++
		active = active || sv == a.Int("sv")
		c.need(store.Key{Table: store.Vault, Partition: fmt.Sprintf("ORG#%d", org), Sort: fmt.Sprintf("SEC#%016d#%016d", id, sv)})
		if sv > a.Int("hsv") {
			c.w.Errorf("credential %d: version %d is above the highest, %d", id, sv, a.Int("hsv"))
		}
	}
	if !active || versions > 10 {
		c.w.Errorf("credential %d: %d versions, the active one among them: %v", id, versions, active)
	}
	head := c.all[store.Key{Table: store.Audit, Partition: own, Sort: "HEAD"}]
	// What uses it comes and goes in the chain, but moves no version.
	changes := head.Attributes.Int("n")
	for ek, e := range c.all {
		if ek.Table == store.Audit && ek.Partition == own && slices.Contains([]string{"linked", "unlinked", "access_added", "access_removed"}, e.Attributes.Text("event")) && e.Attributes.Int("n") != 0 {
			changes--
		}
	}
	if h := head.Attributes; changes != a.Int("ver") || h.Bool("gone") || h.Int("owner") != a.Int("owner") {
		c.w.Errorf("credential %d: version %d, %d changes in its log, gone: %v, owner %d and %d",
			id, a.Int("ver"), changes, h.Bool("gone"), a.Int("owner"), h.Int("owner"))
	}
}

// accessors wants the row of the accessors that the credential's row names, and a list
// that leads to it for each of them.
func (c *checker) accessors(org int64, sort string, row store.Attributes, own string) {
	c.w.Helper()
	if row.Int("acl") == 0 {
		return
	}
	a := c.need(store.Key{Table: store.Meta, Partition: own, Sort: "ACL"}).Attributes
	if a.Int("rev") != row.Int("acl") {
		c.w.Errorf("%s: the accessors are of revision %d, not %d", sort, a.Int("rev"), row.Int("acl"))
	}
	for line := range strings.Lines(a.Text("list")) {
		f := strings.Fields(line)
		if partition := map[string]string{
			"USER": fmt.Sprintf("ORG#%d#U#%s", org, f[1]), "TEAM": fmt.Sprintf("ORG#%d#T#%s", org, f[1]), "ORG": fmt.Sprintf("ORG#%d#ALL", org),
		}[f[0]]; partition != "" {
			at := sort
			if f[0] == "USER" {
				at = strings.Replace(sort, "CRED#", "GRANT#", 1)
			}
			listed := c.need(store.Key{Table: store.Meta, Partition: partition, Sort: at}).Attributes
			if listed.Text("role") != f[2] || listed.Int("owner") != row.Int("owner") {
				c.w.Errorf("%s in %s is %v", sort, partition, listed)
			}
		}
	}
}

// chain verifies the log of one credential.
func (c *checker) chain(k store.Key, head store.Item) {
	c.w.Helper()
	var org, id int64
	if _, err := fmt.Sscanf(k.Partition, "ORG#%d#C#%d", &org, &id); err == nil {
		report, err := audit.Verify(context.Background(), c.w.store.Store, org, id)
		c.w.must(err)
		for _, f := range report.Faults {
			c.w.Errorf("%s %s: %s", f.Key.Partition, f.Key.Sort, f.Message)
		}
		_, there := c.all[store.Key{Table: store.Meta, Partition: fmt.Sprintf("ORG#%d", org), Sort: fmt.Sprintf("CRED#%016d", id)}]
		if there == head.Attributes.Bool("gone") {
			c.w.Errorf("%s: the credential is there: %v, its log says gone: %v", k.Partition, there, head.Attributes.Bool("gone"))
		}
	}
}
