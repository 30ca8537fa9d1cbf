package dynamo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// verified makes a call reject an answer whose body is not the one that its
// X-Amz-Crc32 header states, successes and errors alike. The SDK's own check
// runs when the body is closed, after the answer was taken, and only logs.
func verified(o *dynamodb.Options) {
	o.DisableValidateResponseChecksum = true
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(checksum{}, middleware.After)
	})
}

// checksum is the middleware that reads the body before any other does.
type checksum struct{}

// ID names the middleware to the SDK.
func (checksum) ID() string { return "VerifiedChecksum" }

// HandleDeserialize passes an answer on if its checksum holds, or if it has none.
func (checksum) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	out middleware.DeserializeOutput, metadata middleware.Metadata, err error,
) {
	out, metadata, err = next.HandleDeserialize(ctx, in)
	response, ok := out.RawResponse.(*smithyhttp.Response)
	if err != nil || !ok {
		return out, metadata, err
	}
	stated := response.Header.Get("X-Amz-Crc32")
	if stated == "" {
		return out, metadata, nil
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return out, metadata, &smithy.DeserializationError{Err: fmt.Errorf("reading an answer: %w", err)}
	}
	if want, err := strconv.ParseUint(stated, 10, 32); err != nil || uint32(want) != crc32.ChecksumIEEE(body) {
		return out, metadata, &smithy.DeserializationError{Err: errChecksum}
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return out, metadata, nil
}

var errChecksum = errors.New("the checksum of an answer does not hold")
