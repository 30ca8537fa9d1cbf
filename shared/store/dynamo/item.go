package dynamo

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"credence/shared/store"
)

// The attributes that the store keeps for itself.
const (
	partitionName = "pk"
	sortName      = "sk"
	expiryName    = "ttl"
)

type attributes = map[string]types.AttributeValue

// physical is the name under which DynamoDB knows the table.
func (s *Store) physical(t store.Table) (string, error) {
	name := ""
	switch t {
	case store.Meta:
		name = s.tables.Meta
	case store.Vault:
		name = s.tables.Vault
	case store.Audit:
		name = s.tables.Audit
	}
	if name == "" {
		return "", fmt.Errorf("finding table %q: not one of this store: %w", t, store.ErrInvalid)
	}
	return name, nil
}

// logical is the contract's name of a table of DynamoDB.
func (s *Store) logical(name string) string {
	for _, t := range []store.Table{store.Meta, store.Vault, store.Audit} {
		if p, err := s.physical(t); err == nil && p == name {
			return string(t)
		}
	}
	return name
}

func encodeKey(k store.Key) attributes {
	return attributes{
		partitionName: &types.AttributeValueMemberS{Value: k.Partition},
		sortName:      &types.AttributeValueMemberS{Value: k.Sort},
	}
}

func encodeItem(i store.Item) (attributes, error) {
	out := encodeKey(i.Key)
	if !i.Expires.IsZero() {
		out[expiryName] = encodeNumber(i.Expires.Unix())
	}
	for name, value := range i.Attributes {
		v, err := encodeValue(value)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

func encodeValue(value any) (types.AttributeValue, error) {
	switch v := value.(type) {
	case string:
		return &types.AttributeValueMemberS{Value: v}, nil
	case int64:
		return encodeNumber(v), nil
	case bool:
		return &types.AttributeValueMemberBOOL{Value: v}, nil
	case []byte:
		if v == nil {
			v = []byte{} // nil would be no value at all on the wire
		}
		return &types.AttributeValueMemberB{Value: v}, nil
	default:
		return nil, fmt.Errorf("encoding an attribute of type %T: %w", value, store.ErrInvalid)
	}
}

func encodeNumber(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// decodeItem reads what encodeItem wrote. Anything else in the table was not
// written by this package, and is an error that is none of the contract.
func decodeItem(t store.Table, in attributes) (store.Item, error) {
	pk, okp := in[partitionName].(*types.AttributeValueMemberS)
	sk, oks := in[sortName].(*types.AttributeValueMemberS)
	if !okp || !oks {
		return store.Item{}, fmt.Errorf("decoding an item of table %s: it has no string keys", t)
	}
	item := store.Item{
		Key:        store.Key{Table: t, Partition: pk.Value, Sort: sk.Value},
		Attributes: make(store.Attributes, len(in)),
	}
	for name, value := range in {
		if name == partitionName || name == sortName {
			continue
		}
		v, err := decodeValue(value)
		if err != nil {
			return store.Item{}, fmt.Errorf("decoding an item of table %s: attribute %q: %w", t, name, err)
		}
		if name != expiryName {
			item.Attributes[name] = v
			continue
		}
		seconds, ok := v.(int64)
		if !ok {
			return store.Item{}, fmt.Errorf("decoding an item of table %s: its time of expiry is no number", t)
		}
		item.Expires = time.Unix(seconds, 0).UTC()
	}
	return item, nil
}

func decodeValue(value types.AttributeValue) (any, error) {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return v.Value, nil
	case *types.AttributeValueMemberN:
		n, err := strconv.ParseInt(v.Value, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("a number that is no integer")
		}
		return n, nil
	case *types.AttributeValueMemberBOOL:
		return v.Value, nil
	case *types.AttributeValueMemberB:
		return v.Value, nil
	default:
		return nil, fmt.Errorf("a value of type %T", value)
	}
}

// same reports whether two items hold the same, to the second of their expiry.
func same(a, b store.Item) bool {
	if a.Expires.IsZero() != b.Expires.IsZero() || a.Expires.Unix() != b.Expires.Unix() ||
		len(a.Attributes) != len(b.Attributes) {
		return false
	}
	for name, value := range a.Attributes {
		other, ok := b.Attributes[name]
		if !ok || !sameValue(value, other) {
			return false
		}
	}
	return true
}

func sameValue(a, b any) bool {
	x, okx := a.([]byte)
	y, oky := b.([]byte)
	if okx || oky {
		return okx && oky && bytes.Equal(x, y)
	}
	return a == b
}

// expression is a condition as DynamoDB takes it.
type expression struct {
	text   *string
	names  map[string]string
	values attributes
}

// The two halves of "an item past its ttl is absent". TTL is a reserved word.
const (
	gone  = "#ttl <= :now"
	alive = "(attribute_not_exists(#ttl) OR #ttl > :now)"
)

// encodeCondition states c to the engine as of the second now.
func encodeCondition(c store.Condition, now int64) (expression, error) {
	e := expression{
		names:  map[string]string{"#ttl": expiryName},
		values: attributes{":now": encodeNumber(now)},
	}
	var bad error
	err := c.Match(
		func() { e.text = aws.String("attribute_not_exists(" + partitionName + ") OR " + gone) },
		func() { e.text = aws.String("attribute_exists(" + partitionName + ") AND " + alive) },
		func() { e = expression{} },
		func(name string, value any) {
			e.text = aws.String("#name = :value AND " + alive)
			e.names["#name"] = name
			e.values[":value"], bad = encodeValue(value)
		},
	)
	if err == nil {
		err = bad
	}
	return e, err
}

// holds is what encodeCondition says, of an item that was read.
func holds(c store.Condition, i store.Item, now time.Time) bool {
	there, result := i.Found() && !i.Expired(now), false
	err := c.Match(
		func() { result = !there },
		func() { result = there },
		func() { result = true },
		func(name string, value any) {
			v, ok := i.Attributes[name]
			result = there && ok && sameValue(v, value)
		},
	)
	return err == nil && result
}
