package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"credence/shared/store"
)

// Creator is what CreateTables calls of *dynamodb.Client.
type Creator interface {
	CreateTable(context.Context, *dynamodb.CreateTableInput, ...func(*dynamodb.Options)) (*dynamodb.CreateTableOutput, error)
	DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
	DescribeTimeToLive(context.Context, *dynamodb.DescribeTimeToLiveInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTimeToLiveOutput, error)
	UpdateTimeToLive(context.Context, *dynamodb.UpdateTimeToLiveInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateTimeToLiveOutput, error)
}

var _ Creator = (*dynamodb.Client)(nil)

// untilActive is how long a new table may take; on AWS it is some seconds.
const untilActive = 2 * time.Minute

// CreateTables makes the tables that are not there: on demand, with pk and sk
// as keys and expiry by ttl. It waits until they are active. It is for local
// engines and tests; in an account the deployment's template makes them, with
// backups and protection besides. It may be called again, and leaves what it
// finds as it is but for the expiry. Empty names are passed over.
func CreateTables(ctx context.Context, client Creator, tables Tables) error {
	for _, name := range []string{tables.Meta, tables.Vault, tables.Audit} {
		if name == "" {
			continue
		}
		if err := createTable(ctx, client, name); err != nil {
			return fmt.Errorf("creating table %s: %w", name, err)
		}
	}
	return nil
}

func createTable(ctx context.Context, client Creator, table string) error {
	_, err := client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:   &table,
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String(partitionName), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(sortName), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String(partitionName), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String(sortName), KeyType: types.KeyTypeRange},
		},
	})
	var exists *types.ResourceInUseException
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("%s: %w", name(err), store.ErrUnavailable)
	}
	waiter := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 100*time.Millisecond, 2*time.Second
	})
	if err := waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: &table}, untilActive); err != nil {
		return fmt.Errorf("waiting until it is active: %s: %w", name(err), store.ErrUnavailable)
	}
	return expire(ctx, client, table)
}

// expire switches expiry on, once: AWS refuses to switch on what is on.
func expire(ctx context.Context, client Creator, table string) error {
	now, err := client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &table})
	if err != nil {
		return fmt.Errorf("reading its expiry: %s: %w", name(err), store.ErrUnavailable)
	}
	if d := now.TimeToLiveDescription; d != nil &&
		(d.TimeToLiveStatus == types.TimeToLiveStatusEnabled || d.TimeToLiveStatus == types.TimeToLiveStatusEnabling) {
		return nil
	}
	_, err = client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName: &table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{
			AttributeName: aws.String(expiryName),
			Enabled:       aws.Bool(true),
		},
	})
	if err != nil {
		return fmt.Errorf("switching its expiry on: %s: %w", name(err), store.ErrUnavailable)
	}
	return nil
}
