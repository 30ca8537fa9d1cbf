// Package dynamo keeps the items of store.Store in Amazon DynamoDB: three
// tables with the string keys pk and sk and the time to live ttl, no index.
//
// An attribute is stored as what it is: string as S, int64 as N, bool as BOOL,
// []byte as B. Reads are strongly consistent. A commit of one write is one
// conditional PutItem or DeleteItem; any other is one TransactWriteItems, a
// lone Check too: so the engine alone decides what a condition means.
//
// DynamoDB removes an item within days of its ttl, not at it. Here it is gone
// at that second: reads drop it, and each condition says so to the engine.
//
// Retries are made here and nowhere else: the SDK's own, which every call
// switches off, would send a conditional write again after its reply was lost
// and report only the second answer, "condition failed", which may be the
// effect of the first. See attempt.go for the bounds and commit.go for how the
// outcome of a write is established.
package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"credence/shared/store"
)

// API is what the store calls of *dynamodb.Client. Of these, IAM must allow a
// function only what it does: dynamodb:BatchGetItem and Query to read, PutItem
// and DeleteItem to write, ConditionCheckItem where it commits a Check;
// transactions have no permission of their own.
type API interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

var _ API = (*dynamodb.Client)(nil)

// Tables names the tables, or holds their ARNs. A function that may not touch
// one leaves it empty; naming its items is then ErrInvalid.
type Tables struct{ Meta, Vault, Audit string }

// Store is a store.Store in DynamoDB.
type Store struct {
	client   API
	tables   Tables
	now      func() time.Time
	observer func(op, table string, read, write float64)
	limits   limits
	quota    *ratelimit.TokenRateLimit
}

var _ store.Store = (*Store)(nil)

// Option changes how a Store works.
type Option func(*Store)

// WithClock sets the clock that decides what has expired; time.Now if not
// given.
func WithClock(now func() time.Time) Option { return func(s *Store) { s.now = now } }

// WithCapacityObserver has DynamoDB report what each call consumed and hands
// it to observe, once for each call and table: op is the SDK operation, table
// the contract's name of the table, read and write are request units as AWS
// bills them on demand. A call that fails is not reported, though a failed
// condition is billed as a write. observe may be called from many goroutines.
func WithCapacityObserver(observe func(op, table string, read, write float64)) Option {
	return func(s *Store) { s.observer = observe }
}

// New makes a Store over existing tables; it calls nothing. The client's own
// retries are not used. Its HTTP client should give up on a connection well
// within a second; each call is bounded here in any case.
func New(client API, tables Tables, options ...Option) *Store {
	s := &Store{
		client: client,
		tables: tables,
		now:    time.Now,
		limits: standardLimits,
		quota:  ratelimit.NewTokenRateLimit(retry.DefaultRetryRateTokens),
	}
	for _, option := range options {
		option(s)
	}
	return s
}

// once leaves the repeating to the store, which is told of a damaged answer.
func once(o *dynamodb.Options) {
	o.Retryer = aws.NopRetryer{}
	verified(o)
}

// capacity is what to ask the engine to report.
func (s *Store) capacity() types.ReturnConsumedCapacity {
	if s.observer == nil {
		return types.ReturnConsumedCapacityNone
	}
	return types.ReturnConsumedCapacityTotal
}

// observe passes on what a call consumed. Only transactions tell reading from
// writing; for any other call the sum is of the one kind it has.
func (s *Store) observe(op string, reads bool, consumed ...types.ConsumedCapacity) {
	if s.observer == nil {
		return
	}
	for _, c := range consumed {
		read, write := aws.ToFloat64(c.ReadCapacityUnits), aws.ToFloat64(c.WriteCapacityUnits)
		switch {
		case c.ReadCapacityUnits != nil || c.WriteCapacityUnits != nil:
		case reads:
			read = aws.ToFloat64(c.CapacityUnits)
		default:
			write = aws.ToFloat64(c.CapacityUnits)
		}
		s.observer(op, s.logical(aws.ToString(c.TableName)), read, write)
	}
}
