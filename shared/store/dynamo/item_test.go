package dynamo

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"credence/shared/store"
)

// TestConditionsFitTheirRoom: whatever of a condition DynamoDB might count
// against its limit on transactions, the contract has counted at least as much,
// so what passes its check is not refused by the engine.
func TestConditionsFitTheirRoom(t *testing.T) {
	item := store.Item{Key: store.Key{Table: store.Meta, Partition: "p", Sort: "s"}}
	const maxInt = 1<<53 - 1
	for name, condition := range map[string]store.Condition{
		"absent":  store.Absent(),
		"present": store.Present(),
		"always":  store.Always(),
		"text":    store.Equal(strings.Repeat("n", store.MaxNameBytes), strings.Repeat("x", 1000)),
		"bytes":   store.Equal("b", make([]byte, 1000)),
		"number":  store.Equal("rev", int64(-maxInt)),
		"bool":    store.Equal("active", true),
	} {
		e, err := encodeCondition(condition, maxInt)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		n := len(aws.ToString(e.text))
		for short, long := range e.names {
			n += len(short) + len(long)
		}
		for short, value := range e.values {
			n += len(short) + sentBytes(t, value)
		}
		room := store.WriteBytes(store.Write{Verb: store.Put, Item: item, If: condition}) - store.ItemBytes(item)
		if n > room {
			t.Errorf("%s: %d bytes of condition, room for %d", name, n, room)
		}
	}
}

// sentBytes counts a number at a byte a digit, which is more than DynamoDB does.
func sentBytes(t *testing.T, value types.AttributeValue) int {
	t.Helper()
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return len(v.Value)
	case *types.AttributeValueMemberBOOL:
		return 1
	}
	t.Fatalf("a condition sends a %T", value)
	return 0
}
