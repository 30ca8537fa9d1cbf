// Command hello is the least that a Lambda function written in Go can be: what
// the start of every other one is measured against.
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() (string, error) { return "hello", nil }) }
