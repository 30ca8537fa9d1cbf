package dynamo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"credence/shared/store"
)

// Get reads up to 100 keys over all tables with one BatchGetItem, and what
// that left unprocessed (it stops at 16 MB, and when throttled) with more. It
// returns ErrUnavailable if that goes on without progress.
func (s *Store) Get(ctx context.Context, keys ...store.Key) ([]store.Item, error) {
	if err := store.ValidateGet(keys); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, nil
	}
	found, err := s.fetch(ctx, keys)
	if err != nil {
		return nil, err
	}
	now := s.now()
	items := make([]store.Item, len(keys))
	given := make(map[store.Key]bool, len(keys))
	for i, k := range keys {
		item, ok := found[k]
		if !ok || item.Expired(now) {
			continue
		}
		if given[k] {
			item = clone(item) // equal keys are read once; each item is the caller's
		}
		given[k] = true
		items[i] = item
	}
	return items, nil
}

func clone(i store.Item) store.Item {
	attrs := make(store.Attributes, len(i.Attributes))
	for name, value := range i.Attributes {
		if b, ok := value.([]byte); ok {
			value = append([]byte{}, b...)
		}
		attrs[name] = value
	}
	i.Attributes = attrs
	return i
}

// fetch returns what lies under the keys, expired or not.
func (s *Store) fetch(ctx context.Context, keys []store.Key) (map[store.Key]store.Item, error) {
	pending, err := s.batch(keys)
	if err != nil {
		return nil, err
	}
	raw := make(map[string][]attributes, len(pending))
	for t := s.tries(); ; {
		var out *dynamodb.BatchGetItemOutput
		o, err := s.attempt(ctx, func(ctx context.Context) (err error) {
			out, err = s.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
				RequestItems:           pending,
				ReturnConsumedCapacity: s.capacity(),
			}, once)
			return err
		})
		if o == done {
			s.observe("BatchGetItem", true, out.ConsumedCapacity...)
			for table, items := range out.Responses {
				raw[table] = append(raw[table], items...)
			}
			if len(out.UnprocessedKeys) == 0 {
				return s.decodeAll(keys, raw)
			}
			if count(out.UnprocessedKeys) < count(pending) {
				t.failed = 0 // progress, of which there is an end
			}
			pending, o = out.UnprocessedKeys, turnedAway
		}
		if !t.again(ctx, o) {
			return nil, unavailable(ctx, "getting items", o, err)
		}
	}
}

// batch asks for each key once: DynamoDB refuses a key named twice.
func (s *Store) batch(keys []store.Key) (map[string]types.KeysAndAttributes, error) {
	out := make(map[string]types.KeysAndAttributes, 3)
	named := make(map[store.Key]struct{}, len(keys))
	for _, k := range keys {
		if _, twice := named[k]; twice {
			continue
		}
		named[k] = struct{}{}
		table, err := s.physical(k.Table)
		if err != nil {
			return nil, err
		}
		entry := out[table]
		entry.ConsistentRead = aws.Bool(true)
		entry.Keys = append(entry.Keys, encodeKey(k))
		out[table] = entry
	}
	return out, nil
}

func count(pending map[string]types.KeysAndAttributes) int {
	n := 0
	for _, t := range pending {
		n += len(t.Keys)
	}
	return n
}

func (s *Store) decodeAll(keys []store.Key, raw map[string][]attributes) (map[store.Key]store.Item, error) {
	found := make(map[store.Key]store.Item, len(keys))
	for table, items := range raw {
		for _, in := range items {
			item, err := decodeItem(store.Table(s.logical(table)), in)
			if err != nil {
				return nil, err
			}
			found[item.Key] = item
		}
	}
	return found, nil
}

// moreAtOnce is how many items to ask for at least once expired ones made a
// page too short: partitions with many of them must not cost a call for each.
const moreAtOnce = 100

// Range reads with one Query a page of 1 MB, until it has one live item more
// than the limit: More is then exact. It reads 1 item beyond the limit, and
// what has expired in between.
func (s *Store) Range(ctx context.Context, r store.Range) (store.Page, error) {
	if err := store.ValidateRange(r); err != nil {
		return store.Page{}, err
	}
	r, some := r.Narrow()
	if !some {
		return store.Page{}, nil
	}
	in, err := s.query(r)
	if err != nil {
		return store.Page{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.ranges)
	defer cancel()
	var page store.Page
	for {
		var out *dynamodb.QueryOutput
		err := s.read(ctx, "reading a range", func(ctx context.Context) (err error) {
			out, err = s.client.Query(ctx, in, once)
			return err
		})
		if err != nil {
			return store.Page{}, err
		}
		if out.ConsumedCapacity != nil {
			s.observe("Query", true, *out.ConsumedCapacity)
		}
		if err := s.collect(&page, r, out.Items); err != nil {
			return store.Page{}, err
		}
		if r.Limit > 0 && len(page.Items) > r.Limit {
			return store.Page{Items: page.Items[:r.Limit], More: true}, nil
		}
		if len(out.LastEvaluatedKey) == 0 {
			return page, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
		in.Limit = atMost(r.Limit, max(moreAtOnce, r.Limit+1-len(page.Items)))
	}
}

func (s *Store) collect(page *store.Page, r store.Range, raw []attributes) error {
	now := s.now()
	for _, in := range raw {
		item, err := decodeItem(r.Table, in)
		if err != nil {
			return err
		}
		if item.Expired(now) {
			continue
		}
		if r.KeysOnly {
			item = store.Item{Key: item.Key}
		}
		page.Items = append(page.Items, item)
	}
	return nil
}

// query states a range that Narrow has put in order: DynamoDB refuses a start
// key outside the bounds, and bounds the wrong way round.
func (s *Store) query(r store.Range) (*dynamodb.QueryInput, error) {
	table, err := s.physical(r.Table)
	if err != nil {
		return nil, err
	}
	condition := partitionName + " = :pk"
	values := attributes{":pk": &types.AttributeValueMemberS{Value: r.Partition}}
	if r.From != "" {
		values[":from"] = &types.AttributeValueMemberS{Value: r.From}
	}
	if r.To != "" {
		values[":to"] = &types.AttributeValueMemberS{Value: r.To}
	}
	switch {
	case r.From != "" && r.To != "":
		condition += fmt.Sprintf(" AND %s BETWEEN :from AND :to", sortName)
	case r.From != "":
		condition += fmt.Sprintf(" AND %s >= :from", sortName)
	case r.To != "":
		condition += fmt.Sprintf(" AND %s <= :to", sortName)
	}
	in := &dynamodb.QueryInput{
		TableName:                 &table,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    &condition,
		ExpressionAttributeValues: values,
		ScanIndexForward:          aws.Bool(!r.Descending),
		Limit:                     atMost(r.Limit, r.Limit+1),
		ReturnConsumedCapacity:    s.capacity(),
	}
	if r.KeysOnly { // and what tells whether the item has expired
		in.ProjectionExpression = aws.String(partitionName + ", " + sortName + ", #ttl")
		in.ExpressionAttributeNames = map[string]string{"#ttl": expiryName}
	}
	if r.After != "" {
		in.ExclusiveStartKey = encodeKey(store.Key{Table: r.Table, Partition: r.Partition, Sort: r.After})
	}
	return in, nil
}

// atMost is n as a limit of a Query, nil if the range asked for has none; a
// page of 1 MB holds fewer than 2^20 items anyway.
func atMost(limit, n int) *int32 {
	if limit == 0 || n > 1<<20 || n < 1 {
		return nil
	}
	return aws.Int32(int32(n))
}
