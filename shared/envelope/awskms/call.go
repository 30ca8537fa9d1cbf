package awskms

import (
	"context"
	"errors"
	"fmt"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"credence/shared/envelope"
)

// A function of ten seconds that waits for KMS must have time left to answer:
// two attempts and the pause between them fit the operation.
const (
	attempts         = 2
	attemptTimeout   = time.Second
	operationTimeout = 2500 * time.Millisecond
)

// boundCalls sets these limits on a client. The SDK's own are made for servers:
// three attempts, no timeout on reading. The pauses are those of the
// configuration, which boot.AWS keeps below 300 ms and unlike one another; the
// SDK's way to bound them here would make each the longest.
func boundCalls(o *kms.Options) {
	o.RetryMaxAttempts = attempts
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("AttemptTimeout", boundAttempt), "Retry", middleware.After)
	})
}

// boundAttempt ends one attempt, the reading of its body included. It stands
// behind the retry, which would take an expired context of its own for the
// caller's wish to end, so the error is made anew.
func boundAttempt(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	bounded, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	out, metadata, err := next.HandleFinalize(bounded, in)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		err = attemptTimedOut{}
	}
	return out, metadata, err
}

type attemptTimedOut struct{}

func (attemptTimedOut) Error() string        { return "no answer within " + attemptTimeout.String() }
func (attemptTimedOut) RetryableError() bool { return true }

// unwrapError tells the two errors that blame the ciphertext, its context
// included, from all others. Those others are for whoever runs the service: KMS
// away, throttling, a key disabled or about to be deleted, a right missing.
func unwrapError(err error) error {
	var e smithy.APIError
	if errors.As(err, &e) && (e.ErrorCode() == "InvalidCiphertextException" || e.ErrorCode() == "IncorrectKeyException") {
		return envelope.Refuse(envelope.CauseUnwrap, describe(err))
	}
	return fmt.Errorf("unwrapping a data key: %w", unavailable(err))
}

func unavailable(err error) error {
	return fmt.Errorf("%w: %w", envelope.ErrKMSUnavailable, describe(err))
}

// describe keeps of an SDK error what a log needs, the code and the request's id
// by which AWS's own log has it, and drops its text. A context's end stays
// recognisable.
func describe(err error) error {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, end) {
			return end
		}
	}
	if timedOut := (attemptTimedOut{}); errors.As(err, &timedOut) {
		return timedOut
	}
	var e smithy.APIError
	if !errors.As(err, &e) {
		return fmt.Errorf("no answer from KMS (%T)", rootOf(err))
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.ServiceRequestID() != "" {
		return fmt.Errorf("KMS answered %s, request %s", e.ErrorCode(), response.ServiceRequestID())
	}
	return fmt.Errorf("KMS answered %s", e.ErrorCode())
}

func rootOf(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
