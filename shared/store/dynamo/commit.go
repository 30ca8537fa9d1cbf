package dynamo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"credence/shared/store"
)

// Commit makes one Put or Delete with one conditional call, anything else with
// one TransactWriteItems.
//
// What an attempt left in doubt (its answer was lost, or said that the engine
// had failed) is settled so:
//
//   - A transaction is sent again under its client request token, under which
//     DynamoDB makes it once and repeats its success for ten minutes: the
//     second answer is true of both.
//   - A single write is sent again too. If its condition now fails, the item
//     that DynamoDB returns with the refusal tells: equal to ours, attribute by
//     attribute, or gone as we asked, and it was made.
//   - If no attempt is answered, the items are read back: see readBack.
//
// ErrOutcomeUnknown is what remains. That is so also when a request that was
// never answered has left no trace: it may be on its way still.
//
// Writers that would leave the very same item cannot be told apart by it. An
// item that claims something must therefore name its claimant.
func (s *Store) Commit(ctx context.Context, writes ...store.Write) error {
	if err := store.ValidateCommit(writes); err != nil {
		return err
	}
	c := &commit{store: s, writes: writes, now: s.now()}
	if err := c.prepare(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("committing: %w: %w", store.ErrUnavailable, err)
	}
	return c.run(ctx)
}

// commit is one Commit under way. Its requests are made once, so that each
// attempt says the same, its second of time included: a token stands for one
// request, and DynamoDB refuses it with another.
type commit struct {
	store  *Store
	writes []store.Write
	now    time.Time
	doubt  doubt

	put      *dynamodb.PutItemInput // one of these three is set
	remove   *dynamodb.DeleteItemInput
	transact *dynamodb.TransactWriteItemsInput
}

// doubt is what attempts that may have been applied leave behind.
type doubt uint8

const (
	none   doubt = iota
	ended        // answered with a fault: applied by now, or never
	adrift       // not answered: it may be applied later
)

func (c *commit) prepare() error {
	items := make([]types.TransactWriteItem, len(c.writes))
	for i, w := range c.writes {
		var err error
		if items[i], err = c.item(w); err != nil {
			return err
		}
	}
	if len(items) == 1 {
		c.single(items[0])
	}
	if c.put == nil && c.remove == nil {
		token := rand.Text()
		c.transact = &dynamodb.TransactWriteItemsInput{
			TransactItems:          items,
			ClientRequestToken:     &token,
			ReturnConsumedCapacity: c.store.capacity(),
		}
	}
	return nil
}

// item states a write as part of a transaction.
func (c *commit) item(w store.Write) (types.TransactWriteItem, error) {
	var out types.TransactWriteItem
	table, err := c.store.physical(w.Item.Key.Table)
	if err != nil {
		return out, err
	}
	e, err := encodeCondition(w.If, c.now.Unix())
	if err != nil {
		return out, err
	}
	switch w.Verb {
	case store.Put:
		item, err := encodeItem(w.Item)
		if err != nil {
			return out, err
		}
		out.Put = &types.Put{
			TableName: &table, Item: item,
			ConditionExpression: e.text, ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
		}
	case store.Delete:
		out.Delete = &types.Delete{
			TableName: &table, Key: encodeKey(w.Item.Key),
			ConditionExpression: e.text, ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
		}
	case store.Check:
		out.ConditionCheck = &types.ConditionCheck{
			TableName: &table, Key: encodeKey(w.Item.Key),
			ConditionExpression: e.text, ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
		}
	}
	return out, nil
}

// single states a Put or Delete as a call of its own, at half the price.
func (c *commit) single(i types.TransactWriteItem) {
	if p := i.Put; p != nil {
		c.put = &dynamodb.PutItemInput{
			TableName: p.TableName, Item: p.Item, ReturnConsumedCapacity: c.store.capacity(),
			ConditionExpression: p.ConditionExpression, ExpressionAttributeNames: p.ExpressionAttributeNames, ExpressionAttributeValues: p.ExpressionAttributeValues,
		}
	}
	if d := i.Delete; d != nil {
		c.remove = &dynamodb.DeleteItemInput{
			TableName: d.TableName, Key: d.Key, ReturnConsumedCapacity: c.store.capacity(),
			ConditionExpression: d.ConditionExpression, ExpressionAttributeNames: d.ExpressionAttributeNames, ExpressionAttributeValues: d.ExpressionAttributeValues,
		}
	}
}

// send makes one attempt.
func (c *commit) send(ctx context.Context) error {
	// The item that refuses a write is asked for only where it can tell
	// something: it may be large, and IAM may withhold it.
	evidence := types.ReturnValuesOnConditionCheckFailureNone
	if c.doubt != none {
		evidence = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	switch {
	case c.put != nil:
		c.put.ReturnValuesOnConditionCheckFailure = evidence
		out, err := c.store.client.PutItem(ctx, c.put, once)
		if err == nil && out.ConsumedCapacity != nil {
			c.store.observe("PutItem", false, *out.ConsumedCapacity)
		}
		return err
	case c.remove != nil:
		c.remove.ReturnValuesOnConditionCheckFailure = evidence
		out, err := c.store.client.DeleteItem(ctx, c.remove, once)
		if err == nil && out.ConsumedCapacity != nil {
			c.store.observe("DeleteItem", false, *out.ConsumedCapacity)
		}
		return err
	default:
		out, err := c.store.client.TransactWriteItems(ctx, c.transact, once)
		if err == nil {
			c.store.observe("TransactWriteItems", false, out.ConsumedCapacity...)
		}
		return err
	}
}

func (c *commit) run(ctx context.Context) error {
	changes := c.changes()
	for t := c.store.tries(); ; {
		o, err := c.store.attempt(ctx, c.send)
		switch {
		case o == done:
			return nil
		case o == refused:
			return c.refusal(err)
		case o == faulted && changes:
			c.doubt = max(c.doubt, ended)
		case o == unanswered && changes:
			c.doubt = adrift
		}
		if t.again(ctx, o) {
			continue
		}
		if c.doubt == none {
			return unavailable(ctx, "committing", o, err)
		}
		return c.settle(ctx, err)
	}
}

// changes is false if all writes are checks: nothing is then ever in doubt.
func (c *commit) changes() bool {
	for _, w := range c.writes {
		if w.Verb != store.Check {
			return true
		}
	}
	return false
}

// refusal answers for conditions that do not hold.
func (c *commit) refusal(err error) error {
	var canceled *types.TransactionCanceledException
	if errors.As(err, &canceled) {
		failed := &store.ConditionError{}
		for i, r := range canceled.CancellationReasons {
			if code(r) == "ConditionalCheckFailed" {
				failed.Failed = append(failed.Failed, i)
			}
		}
		return failed
	}
	if c.doubt == none {
		return &store.ConditionError{Failed: []int{0}}
	}
	var single *types.ConditionalCheckFailedException
	if !errors.As(err, &single) {
		return fmt.Errorf("committing: %s: %w", name(err), store.ErrOutcomeUnknown)
	}
	var found store.Item
	if len(single.Item) > 0 {
		var err error
		if found, err = decodeItem(c.writes[0].Item.Key.Table, single.Item); err != nil {
			return fmt.Errorf("committing: %w: %w", store.ErrOutcomeUnknown, err)
		}
	}
	if c.made(c.writes[0], found) {
		return nil
	}
	// Ours may have been made and then replaced: to say that nothing was
	// written could be a lie.
	return fmt.Errorf("committing: the item was changed by another after a lost answer: %w", store.ErrOutcomeUnknown)
}

// settle reads back what no attempt could tell.
func (c *commit) settle(ctx context.Context, cause error) error {
	made, missing := c.readBack(ctx)
	switch {
	case made:
		return nil
	case missing && c.doubt == ended:
		return unavailable(ctx, "committing", faulted, cause)
	case ctx.Err() != nil:
		return fmt.Errorf("committing: %s: %w: %w", name(cause), store.ErrOutcomeUnknown, ctx.Err())
	}
	return fmt.Errorf("committing: %s: %w", name(cause), store.ErrOutcomeUnknown)
}

// readBack looks for the effect of the writes. They were made if every item is
// as they would leave it. They were not if none is, and a condition still
// holds that they would have ended. A transaction is whole, so its items in
// meta suffice: no function may write meta without reading it, while several
// write to the other tables blind.
func (c *commit) readBack(ctx context.Context) (made, missing bool) {
	ctx, cancel := context.WithTimeout(ctx, c.store.limits.attempt)
	defer cancel()
	var look []store.Write
	for _, w := range c.writes {
		if w.Verb != store.Check && w.Item.Key.Table == store.Meta {
			look = append(look, w)
		}
	}
	if len(look) == 0 {
		for _, w := range c.writes {
			if w.Verb != store.Check {
				look = append(look, w)
			}
		}
	}
	keys := make([]store.Key, len(look))
	for i, w := range look {
		keys[i] = w.Item.Key
	}
	found, err := c.store.fetch(ctx, keys)
	if err != nil {
		return false, false
	}
	all, some := true, false
	for _, w := range look {
		item := found[w.Item.Key]
		one := c.made(w, item)
		all, some = all && one, some || one
		missing = missing || c.spends(w) && holds(w.If, item, c.now)
	}
	return all, missing && !some
}

// made reports whether an item is as the write would leave it.
func (c *commit) made(w store.Write, found store.Item) bool {
	if w.Verb == store.Delete {
		return !found.Found() || found.Expired(c.now)
	}
	return found.Found() && same(found, w.Item)
}

// spends reports whether the write ends its own condition, as one with a
// revision does: then it cannot have been made where the condition holds.
func (c *commit) spends(w store.Write) bool {
	var after store.Item
	if w.Verb == store.Put {
		after = w.Item
	}
	return !holds(w.If, after, c.now)
}
