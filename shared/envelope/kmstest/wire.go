package kmstest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
)

// maxRequest is more than any request with a blob and two contexts needs.
const maxRequest = 64 << 10

// authorization is the header of Signature Version 4 for the service kms. The
// signature itself is not verified: the double has no one's secret key.
var authorization = regexp.MustCompile(
	`^AWS4-HMAC-SHA256 Credential=[A-Za-z0-9]+/\d{8}/[a-z0-9-]+/kms/aws4_request, SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}$`)

// Handler speaks the AWS JSON 1.1 protocol of KMS to one caller, who may do only
// what is allowed: POST /, X-Amz-Target TrentService.<operation>, errors under
// __type. What a request holds beyond the members known here is refused.
func (k *KMS) Handler(allowed Operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := k.serve(r, allowed)
		if errors.Is(err, errLostReply) || r.Context().Err() != nil {
			panic(http.ErrAbortHandler)
		}
		status := http.StatusOK
		var f *failure
		if errors.As(err, &f) {
			status = f.status
			answer = map[string]string{"__type": "com.amazonaws.kms#" + f.code, "message": "refused by the test"}
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.Header().Set("X-Amzn-RequestId", "00000000-0000-4000-8000-000000000000")
		w.WriteHeader(status)
		_ = json.MarshalWrite(w, answer)
	})
}

func (k *KMS) serve(r *http.Request, allowed Operation) (any, error) {
	if r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		return nil, refuse("UnknownOperationException")
	}
	if !authorization.MatchString(r.Header.Get("Authorization")) || r.Header.Get("X-Amz-Date") == "" {
		return nil, refuse("MissingAuthenticationTokenException")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil || len(body) > maxRequest {
		return nil, refuse("SerializationException")
	}
	switch target, _ := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "TrentService."); target {
	case names[GenerateDataKey]:
		return serveOperation(r.Context(), body, func(ctx context.Context, in generateRequest) (any, error) {
			return k.serveGenerate(ctx, allowed, in)
		})
	case names[Decrypt]:
		return serveOperation(r.Context(), body, func(ctx context.Context, in decryptRequest) (any, error) {
			return k.serveDecrypt(ctx, allowed, in)
		})
	case names[ReEncrypt]:
		return serveOperation(r.Context(), body, func(ctx context.Context, in reEncryptRequest) (any, error) {
			return k.serveReEncrypt(ctx, allowed, in)
		})
	}
	return nil, refuse("UnknownOperationException")
}

func serveOperation[In any](ctx context.Context, body []byte, do func(context.Context, In) (any, error)) (any, error) {
	var in In
	if err := json.Unmarshal(body, &in, json.RejectUnknownMembers(true)); err != nil {
		return nil, refuse("SerializationException")
	}
	return do(ctx, in)
}

// reply has the members of all three answers; each sends its own.
type reply struct {
	CiphertextBlob        []byte `json:",omitzero"`
	Plaintext             []byte `json:",omitzero"`
	KeyID                 string `json:"KeyId"`
	KeyMaterialID         string `json:"KeyMaterialId,omitzero"`
	Algorithm             string `json:"EncryptionAlgorithm,omitzero"`
	SourceKeyID           string `json:"SourceKeyId,omitzero"`
	SourceMaterialID      string `json:"SourceKeyMaterialId,omitzero"`
	SourceAlgorithm       string `json:"SourceEncryptionAlgorithm,omitzero"`
	DestinationMaterialID string `json:"DestinationKeyMaterialId,omitzero"`
	DestinationAlgorithm  string `json:"DestinationEncryptionAlgorithm,omitzero"`
}

type generateRequest struct {
	KeyID             string `json:"KeyId"`
	KeySpec           string
	EncryptionContext map[string]string
}

func (k *KMS) serveGenerate(ctx context.Context, allowed Operation, in generateRequest) (any, error) {
	if in.KeySpec != "AES_256" {
		return nil, refuse("ValidationException")
	}
	made, err := k.generate(ctx, allowed, contextKey{in.KeyID, in.EncryptionContext})
	return reply{CiphertextBlob: made.wrapped, Plaintext: made.plaintext, KeyID: made.keyARN, KeyMaterialID: made.materialID}, err
}

type decryptRequest struct {
	KeyID               string `json:"KeyId"`
	CiphertextBlob      []byte
	EncryptionAlgorithm string
	EncryptionContext   map[string]string
}

func (k *KMS) serveDecrypt(ctx context.Context, allowed Operation, in decryptRequest) (any, error) {
	if in.EncryptionAlgorithm != "" && in.EncryptionAlgorithm != "SYMMETRIC_DEFAULT" {
		return nil, refuse("InvalidKeyUsageException")
	}
	made, err := k.decrypt(ctx, allowed, contextKey{in.KeyID, in.EncryptionContext}, in.CiphertextBlob)
	return reply{Plaintext: made.plaintext, KeyID: made.keyARN, KeyMaterialID: made.materialID, Algorithm: "SYMMETRIC_DEFAULT"}, err
}

type reEncryptRequest struct {
	CiphertextBlob               []byte
	SourceKeyID                  string `json:"SourceKeyId"`
	SourceEncryptionContext      map[string]string
	DestinationKeyID             string `json:"DestinationKeyId"`
	DestinationEncryptionContext map[string]string
}

func (k *KMS) serveReEncrypt(ctx context.Context, allowed Operation, in reEncryptRequest) (any, error) {
	from := contextKey{in.SourceKeyID, in.SourceEncryptionContext}
	to := contextKey{in.DestinationKeyID, in.DestinationEncryptionContext}
	made, err := k.reEncrypt(ctx, allowed, from, to, in.CiphertextBlob)
	return reply{
		CiphertextBlob: made.wrapped, KeyID: made.keyARN, DestinationMaterialID: made.materialID,
		SourceKeyID: made.sourceARN, SourceMaterialID: made.sourceMaterialID,
		SourceAlgorithm: "SYMMETRIC_DEFAULT", DestinationAlgorithm: "SYMMETRIC_DEFAULT",
	}, err
}
