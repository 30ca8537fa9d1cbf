package audit_test

import (
	"testing"
	"time"

	"credence/shared/audit"
	"credence/shared/identity"
	"credence/shared/store"
)

func TestPast(t *testing.T) {
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	item := func(table store.Table, sort string, a store.Attributes) store.Item {
		a.SetTime("at", at)
		return store.Item{Key: store.Key{Table: table, Partition: "ORG#1#C#2", Sort: sort}, Attributes: a}
	}
	for _, row := range []struct {
		name string
		item store.Item
		days int
		age  int // in days
		past bool
	}{
		{"an observation within the setting", item(store.Audit, "E#1", store.Attributes{}), 30, 30, false},
		{"an observation beyond it", item(store.Audit, "E#1", store.Attributes{}), 30, 31, true},
		{"within the default", item(store.Audit, "E#1", store.Attributes{}), 0, 399, false},
		{"beyond the default", item(store.Audit, "E#1", store.Attributes{}), 0, 401, true},
		{"a change", item(store.Audit, "E#1", store.Attributes{"n": int64(3)}), 30, 4000, false},
		{"a head", item(store.Audit, "HEAD", store.Attributes{}), 30, 4000, false},
		{"a row of another table", item(store.Meta, "E#1", store.Attributes{}), 30, 4000, false},
		{"an entry without a time", store.Item{Key: store.Key{Table: store.Audit, Sort: "E#1"}}, 30, 4000, false},
	} {
		now := at.Add(time.Duration(row.age) * 24 * time.Hour)
		if got := audit.Past(row.item, identity.Org{AuditDays: row.days}, now); got != row.past {
			t.Errorf("%s: %v, want %v", row.name, got, row.past)
		}
	}
}
