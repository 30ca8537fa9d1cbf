// Command plain is the least that a Lambda function can be which reads DynamoDB
// and asks KMS: what of a start is the SDK's and not ours.
package main

import (
	"context"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		os.Exit(1)
	}
	store, keys := dynamodb.NewFromConfig(cfg), kms.NewFromConfig(cfg)
	lambda.Start(func(ctx context.Context) error {
		if _, err := store.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{}); err != nil {
			return err
		}
		if _, err := store.Query(ctx, &dynamodb.QueryInput{}); err != nil {
			return err
		}
		if _, err := store.PutItem(ctx, &dynamodb.PutItemInput{}); err != nil {
			return err
		}
		if _, err := store.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{}); err != nil {
			return err
		}
		_, err := keys.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{})
		return err
	})
}
