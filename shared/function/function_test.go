package function

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"credence/shared/envelope/awskms"
	"credence/shared/store/dynamo"
)

// TestMissingVariables: every missing variable is named, and not the error that
// follows from one.
func TestMissingVariables(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1")
	for _, name := range []string{"META_TABLE", "KMS_KEY"} {
		t.Setenv(name, "")
	}
	p := &Process{Logger: slog.New(slog.DiscardHandler)}
	_, err := p.start(t.Context(), func(p *Process) (lambda.Handler, error) {
		p.Tables(dynamo.Tables{Meta: p.Required("META_TABLE")})
		_, err := awskms.New(p.AWS, p.Required("KMS_KEY"))
		if err == nil {
			t.Error("a key without a name is accepted")
		}
		return nil, err
	})
	if err == nil || !strings.Contains(err.Error(), "META_TABLE") || !strings.Contains(err.Error(), "KMS_KEY is not set") || strings.Contains(err.Error(), "making the list") {
		t.Errorf("the error is %v", err)
	}
}

// TestNoRegion: a function without a region does not start, and the error names the
// missing variables beside the region.
func TestNoRegion(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	p := &Process{Logger: slog.New(slog.DiscardHandler)}
	t.Setenv("META_TABLE", "")
	_, err := p.start(t.Context(), func(p *Process) (lambda.Handler, error) {
		p.Tables(dynamo.Tables{Meta: p.Required("META_TABLE")})
		return nil, nil
	})
	if err == nil || !strings.Contains(err.Error(), "AWS_REGION") || !strings.Contains(err.Error(), "META_TABLE") {
		t.Errorf("the error is %v", err)
	}
}
