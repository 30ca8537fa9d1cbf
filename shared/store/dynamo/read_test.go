package dynamo_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"credence/shared/store"
	"credence/shared/store/dynamo"
)

// readFaults hold for Get and Range alike.
var readFaults = []struct {
	name   string
	faults []fault
	rest   fault
	err    error
	calls  int
}{
	{name: "nothing", calls: 1},
	{name: "throttled, then not", faults: []fault{exception(400, "ThrottlingException"), exception(400, "ProvisionedThroughputExceededException")}, calls: 3},
	{name: "throughput exceeded", rest: exception(400, "ProvisionedThroughputExceededException"), err: store.ErrUnavailable, calls: 3},
	{name: "request limit", rest: exception(400, "RequestLimitExceeded"), err: store.ErrUnavailable, calls: 3},
	{name: "fault, then none", faults: []fault{exception(500, "InternalServerError"), reply(503, "<html>")}, calls: 3},
	{name: "fault", rest: exception(500, "InternalServerError"), err: store.ErrUnavailable, calls: 3},
	{name: "no right", rest: exception(400, "AccessDeniedException"), err: store.ErrUnavailable, calls: 1},
	{name: "no table", rest: exception(400, "ResourceNotFoundException"), err: store.ErrUnavailable, calls: 1},
	{name: "refused as invalid", rest: exception(400, "ValidationException"), err: store.ErrInvalid, calls: 1},
	{name: "cut off, then silent", faults: []fault{applied(cut), applied(timeout)}, calls: 3},
	{name: "garbled", faults: []fault{reply(200, `{"Resp`)}, calls: 2},
	{name: "damaged", faults: []fault{damaged, damaged}, calls: 3},
	{name: "damaged each time", rest: damaged, err: store.ErrUnavailable, calls: 3},
	{name: "silence", rest: timeout, err: store.ErrUnavailable, calls: 3},
}

func TestReadFaults(t *testing.T) {
	for _, row := range readFaults {
		t.Run("get/"+row.name, func(t *testing.T) {
			b := newBroken(t)
			there := b.item(store.Vault, "a", 7)
			b.set(there)
			b.wire.script("BatchGetItem", row.faults...)
			b.wire.always("BatchGetItem", row.rest)
			items, err := b.store.Get(t.Context(), there.Key)
			b.expect(err, row.err)
			if err == nil && items[0].Attributes.Int("rev") != 7 {
				t.Errorf("item %v, want revision 7", items[0].Attributes)
			}
			b.expectCalls("BatchGetItem", row.calls)
		})
		t.Run("range/"+row.name, func(t *testing.T) {
			b := newBroken(t)
			there := b.item(store.Audit, "a", 7)
			b.set(there)
			b.wire.script("Query", row.faults...)
			b.wire.always("Query", row.rest)
			page, err := b.store.Range(t.Context(), store.Range{Table: store.Audit, Partition: b.partition})
			b.expect(err, row.err)
			if err == nil && (len(page.Items) != 1 || page.Items[0].Attributes.Int("rev") != 7) {
				t.Errorf("page %v, want one item of revision 7", page.Items)
			}
			b.expectCalls("Query", row.calls)
		})
	}
}

func TestReadRefusedConnection(t *testing.T) {
	s := dynamo.New(dynamo.LocalClient(closedPort(t)), tables)
	key := store.Key{Table: store.Meta, Partition: "p", Sort: "s"}
	if _, err := s.Get(t.Context(), key); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("get: %v, want ErrUnavailable for a refused connection", err)
	}
	if _, err := s.Range(t.Context(), store.Range{Table: store.Meta, Partition: "p"}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("range: %v, want ErrUnavailable", err)
	}
}

func TestGetUnprocessed(t *testing.T) {
	set := func(b *broken) []store.Key {
		var keys []store.Key
		for i := range 6 {
			item := b.item([]store.Table{store.Meta, store.Vault, store.Audit}[i%3], fmt.Sprint(i), int64(i+1))
			b.set(item)
			keys = append(keys, item.Key)
		}
		return append(keys, store.Key{Table: store.Meta, Partition: b.partition, Sort: "none"}, keys[0])
	}
	for _, row := range []struct {
		name   string
		faults []fault
		rest   fault
		err    error
		calls  int
	}{
		{name: "some", faults: []fault{unprocessed(4)}, calls: 2},
		{name: "all, then none", faults: []fault{unprocessed(0), unprocessed(0)}, calls: 3},
		{name: "one at a time", rest: unprocessed(1), calls: 7}, // more than 3: there is progress
		{name: "some, then throttled", faults: []fault{unprocessed(4)}, rest: exception(400, "ThrottlingException"), err: store.ErrUnavailable, calls: 3},
		{name: "some, then all for ever", faults: []fault{unprocessed(4)}, rest: unprocessed(0), err: store.ErrUnavailable, calls: 3},
		{name: "all for ever", rest: unprocessed(0), err: store.ErrUnavailable, calls: 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBroken(t)
			keys := set(b)
			b.wire.script("BatchGetItem", row.faults...)
			b.wire.always("BatchGetItem", row.rest)
			items, err := b.store.Get(t.Context(), keys...)
			b.expect(err, row.err)
			b.expectCalls("BatchGetItem", row.calls)
			if err != nil {
				return
			}
			for i, item := range items {
				want := []int64{1, 2, 3, 4, 5, 6, 0, 1}[i]
				if got := item.Attributes.Int("rev"); got != want {
					t.Errorf("item %d of revision %d, want %d", i, got, want)
				}
			}
		})
	}
}

// TestCalls is what DynamoDB is asked for in one operation.
func TestCalls(t *testing.T) {
	b := newBroken(t)
	keys := make([]store.Key, store.MaxKeysPerGet)
	writes := make([]store.Write, store.MaxWritesPerCommit)
	for i := range keys {
		item := b.item([]store.Table{store.Meta, store.Vault, store.Audit}[i%3], fmt.Sprintf("%03d", i), 1)
		keys[i], writes[i] = item.Key, store.Write{Verb: store.Put, Item: item, If: store.Absent()}
	}
	remove := store.Write{Verb: store.Delete, Item: writes[0].Item, If: store.Present()}
	for _, row := range []struct {
		name, op string
		do       func() error
	}{
		{"put of one", "PutItem", func() error { return b.store.Commit(t.Context(), writes[0]) }},
		{"delete of one", "DeleteItem", func() error { return b.store.Commit(t.Context(), remove) }},
		{"commit of 100", "TransactWriteItems", func() error { return b.store.Commit(t.Context(), writes...) }},
		{"get of 100 over three tables", "BatchGetItem", func() error {
			items, err := b.store.Get(t.Context(), keys...)
			for i, item := range items {
				if !item.Found() {
					t.Errorf("item %d is missing", i)
				}
			}
			return err
		}},
		{"get of none", "", func() error { _, err := b.store.Get(t.Context()); return err }},
		{"range of a page", "Query", func() error {
			page, err := b.store.Range(t.Context(), store.Range{Table: store.Meta, Partition: b.partition, Limit: 20})
			if len(page.Items) != 20 || !page.More {
				t.Errorf("page of %d items, more: %v", len(page.Items), page.More)
			}
			return err
		}},
		{"empty range", "", func() error {
			_, err := b.store.Range(t.Context(), store.Range{Table: store.Meta, Partition: b.partition, From: "b", To: "a"})
			return err
		}},
	} {
		before, of := b.wire.total(), b.wire.count(row.op)
		if err := row.do(); err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		want := 1
		if row.op == "" {
			want = 0
		}
		if n, m := b.wire.total()-before, b.wire.count(row.op)-of; n != want || m != want {
			t.Errorf("%s: %d calls, %d of %s, want %d", row.name, n, m, row.op, want)
		}
	}
}

// TestRangePages reads over the engine's pages of 1 MB.
func TestRangePages(t *testing.T) {
	b := newBroken(t)
	const n, size = 9, 300 << 10
	for i := range n {
		item := b.item(store.Vault, fmt.Sprint(i), int64(i))
		item.Attributes["bytes"] = bytes.Repeat([]byte{byte(i)}, size)
		b.set(item)
	}
	for _, row := range []struct {
		limit, items, calls int
		more                bool
	}{
		{0, n, 3, false}, {n, n, 3, false}, {n - 1, n - 1, 3, true}, {2, 2, 1, true}, {5, 5, 2, true},
	} {
		before := b.wire.count("Query")
		page, err := b.store.Range(t.Context(), store.Range{Table: store.Vault, Partition: b.partition, Limit: row.limit})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) != row.items || page.More != row.more {
			t.Errorf("limit %d: %d items, more: %v; want %d, %v", row.limit, len(page.Items), page.More, row.items, row.more)
		}
		for i, item := range page.Items {
			if b := item.Attributes.Bytes("bytes"); len(b) != size || b[0] != byte(i) {
				t.Errorf("limit %d: item %d is not whole", row.limit, i)
			}
		}
		if got := b.wire.count("Query") - before; got != row.calls {
			t.Errorf("limit %d: %d calls, want %d", row.limit, got, row.calls)
		}
	}
	b.wire.script("Query", pass, timeout)
	b.wire.always("Query", pass)
	if page, err := b.store.Range(t.Context(), store.Range{Table: store.Vault, Partition: b.partition}); err != nil || len(page.Items) != n {
		t.Errorf("with a page asked for twice: %d items, %v", len(page.Items), err)
	}
	b.wire.script("Query", pass)
	b.wire.always("Query", timeout)
	page, err := b.store.Range(t.Context(), store.Range{Table: store.Vault, Partition: b.partition})
	b.expect(err, store.ErrUnavailable)
	if len(page.Items) != 0 {
		t.Errorf("%d items of a range that failed", len(page.Items))
	}
}

// TestExpired has items that are past their ttl, and still in the engine.
func TestExpired(t *testing.T) {
	expiry := time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)
	now := expiry.Add(-time.Nanosecond)
	b := newBroken(t, dynamo.WithClock(func() time.Time { return now }))
	const dead = 250
	var last store.Item
	for i := range dead + 1 {
		item := b.item(store.Meta, fmt.Sprintf("%03d", i), 1)
		item.Expires = expiry
		if i == dead {
			item.Expires = time.Time{}
		}
		b.set(item)
		last = item
	}
	first := b.item(store.Meta, "000", 2)
	all := store.Range{Table: store.Meta, Partition: b.partition, Limit: 1}
	if page, err := b.store.Range(t.Context(), all); err != nil || page.Items[0].Key != first.Key || !page.More {
		t.Errorf("before its time: %v, %v", page, err)
	}

	now = expiry
	raw, err := dynamo.LocalClient(engine(t)).GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: &tables.Meta, ConsistentRead: aws.Bool(true),
		Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: b.partition},
			"sk": &types.AttributeValueMemberS{Value: "000"},
		},
	})
	if err != nil || raw.Item["ttl"].(*types.AttributeValueMemberN).Value != fmt.Sprint(expiry.Unix()) {
		t.Fatalf("the engine removed the item, or keeps another ttl: %v, %v", raw, err)
	}
	if items, err := b.store.Get(t.Context(), first.Key, last.Key); err != nil || items[0].Found() || !items[1].Found() {
		t.Errorf("get: %v, %v; want the last only", items, err)
	}
	before := b.wire.count("Query")
	if page, err := b.store.Range(t.Context(), all); err != nil || len(page.Items) != 1 || page.Items[0].Key != last.Key || page.More {
		t.Errorf("range: %v, %v; want the last only", page, err)
	}
	if n := b.wire.count("Query") - before; n > 4 {
		t.Errorf("%d calls to pass over %d expired items", n, dead)
	}
	for _, c := range []store.Condition{store.Present(), store.Equal("rev", int64(1))} {
		if err := b.store.Commit(t.Context(), store.Write{Verb: store.Put, Item: first, If: c}); !store.ConditionFailed(err, 0) {
			t.Errorf("a condition on an expired item: %v, want it to fail", err)
		}
	}
	if err := b.store.Commit(t.Context(), store.Write{Verb: store.Put, Item: first, If: store.Absent()}); err != nil {
		t.Errorf("putting over an expired item: %v", err)
	}
}

// TestForeignItems has in the tables what this store cannot have written.
func TestForeignItems(t *testing.T) {
	client := dynamo.LocalClient(engine(t))
	for i, foreign := range []map[string]types.AttributeValue{
		{"a": &types.AttributeValueMemberN{Value: "1.5"}},
		{"a": &types.AttributeValueMemberNULL{Value: true}},
		{"a": &types.AttributeValueMemberSS{Value: []string{"x"}}},
		{"ttl": &types.AttributeValueMemberS{Value: "never"}},
	} {
		b := newBroken(t)
		key := store.Key{Table: store.Meta, Partition: fmt.Sprint(b.partition, rand.Int()), Sort: "s"}
		foreign["pk"] = &types.AttributeValueMemberS{Value: key.Partition}
		foreign["sk"] = &types.AttributeValueMemberS{Value: key.Sort}
		if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &tables.Meta, Item: foreign}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.store.Get(t.Context(), key); err == nil || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("row %d: get: %v, want a fault that is no outage", i, err)
		}
		if _, err := b.store.Range(t.Context(), store.Range{Table: key.Table, Partition: key.Partition}); err == nil || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("row %d: range: %v, want a fault that is no outage", i, err)
		}
	}
}

// TestOneLayerOfRetries: the SDK repeats nothing on its own.
func TestOneLayerOfRetries(t *testing.T) {
	b := newBroken(t)
	b.wire.always("PutItem", func(w *wire, r *http.Request) (*http.Response, error) {
		if got := r.Header.Get("Amz-Sdk-Request"); got != "attempt=1; max=1" {
			t.Errorf("the SDK says %q of its attempts", got)
		}
		return exception(500, "InternalServerError")(w, r)
	})
	b.expect(b.store.Commit(t.Context(), store.Write{Verb: store.Put, Item: b.item(store.Meta, "a", 1), If: store.Absent()}), store.ErrUnavailable)
	b.expectCalls("PutItem", 3)
}
