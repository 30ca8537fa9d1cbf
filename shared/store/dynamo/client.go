package dynamo

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Client is what New and CreateTables take, in the account and region of cfg.
func Client(cfg aws.Config) *dynamodb.Client { return dynamodb.NewFromConfig(cfg) }

// LocalClient is one for an engine on this machine, such as
// "http://127.0.0.1:8000". It reads no environment and holds no credentials,
// so nothing of an account can reach the engine, or be changed by mistake.
func LocalClient(endpoint string) *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		Region:       "us-east-1",
		BaseEndpoint: &endpoint,
		// Engines want a signature and check none.
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}
