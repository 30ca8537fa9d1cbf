package httpprobe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/dghubble/oauth1"

	"credence/shared/probe"
	"credence/shared/secret"
)

// readOAuth1 reads the settings of OAUTH1 (RFC 5849): each request is signed
// with the consumer's secret and, where there is one, the token's.
func readOAuth1(settings reader, t *trial) error {
	key, consumer := settings.text(fieldConsumerKey), settings.Secret(string(fieldConsumerSecret))
	token, tokenSecret := settings.Secret(string(fieldOAuth1Token)), settings.Secret(string(fieldOAuth1Secret))
	if key == "" || consumer.Len() == 0 {
		return probe.Found(probe.CodeAuthMethodUnsupported, "OAuth 1 signs with a consumer key and a consumer secret. Enter both. Nothing was sent.").At(fieldConsumerSecret)
	}
	if settings.has(fieldOAuth1Extra) {
		return probe.Found(probe.CodeAuthMethodUnsupported, "OAuth 1 requests with parameters of their own cannot be probed. Nothing was sent; check the credential where it is used.").At(fieldOAuth1Extra)
	}
	method := settings.text(fieldOAuth1Method)
	t.plan.blame, t.plan.blameID = fieldConsumerSecret, fieldConsumerKey
	made := another(consumer)
	t.plan.sign = func(r *http.Request, _ []byte, forged bool) error {
		signWith := consumer
		if forged {
			signWith = made
		}
		config := &oauth1.Config{ConsumerKey: key, ConsumerSecret: signWith.ExposeText(), Signer: oauth1Signer(method, signWith)}
		access := oauth1.NewToken(token.ExposeText(), tokenSecret.ExposeText())
		// The library signs in its transport: this one takes the header and
		// sends nothing.
		took := &headerTaker{}
		transport, ok := config.Client(context.Background(), access).Transport.(*oauth1.Transport)
		if !ok {
			return probe.Found(probe.CodeProbeInternal, "")
		}
		transport.Base = took
		//nolint:bodyclose // headerTaker's answer has none
		if _, err := transport.RoundTrip(r.Clone(context.Background())); err != nil || took.header == "" {
			return probe.Found(probe.CodeAuthMethodUnsupported, "The request cannot be signed. Check its address and its body. Nothing was sent.").At(t.plan.urlField)
		}
		setHeader(r.Header, "Authorization", took.header)
		if r.GetBody != nil {
			r.Body, _ = r.GetBody()
		}
		return nil
	}
	return nil
}

func oauth1Signer(method string, key secret.Value) oauth1.Signer {
	switch method {
	case "PLAINTEXT":
		return plaintext{key}
	case "HMAC-SHA256":
		return &oauth1.HMAC256Signer{ConsumerSecret: key.ExposeText()}
	}
	return &oauth1.HMACSigner{ConsumerSecret: key.ExposeText()}
}

// plaintext is the signature of RFC 5849 §3.4.4.
type plaintext struct{ consumer secret.Value }

func (plaintext) Name() string { return "PLAINTEXT" }

func (p plaintext) Sign(tokenSecret, _ string) (string, error) {
	return oauth1.PercentEncode(p.consumer.ExposeText()) + "&" + oauth1.PercentEncode(tokenSecret), nil
}

// headerTaker is a transport that keeps the signature and sends nothing.
type headerTaker struct{ header string }

func (h *headerTaker) RoundTrip(r *http.Request) (*http.Response, error) {
	h.header = r.Header.Get("Authorization")
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// readAWS reads the settings of AWS_SIGNATURE (Signature Version 4).
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func readAWS(settings reader, t *trial) error {
	id, key := settings.text(fieldAWSKey), settings.Secret(string(fieldAWSSecret))
	session := settings.Secret(string(fieldAWSSession))
	region, service := settings.text(fieldAWSRegion), settings.text(fieldAWSService)
	if id == "" || key.Len() == 0 {
		return probe.Found(probe.CodeAuthMethodUnsupported, "An AWS signature requires an access key id and a secret access key. Enter both. Nothing was sent.").At(fieldAWSSecret)
	}
	if host := awsHost(t.plan.url); service == "" || region == "" {
		if service == "" {
			service = host[0]
		}
		if region == "" {
			region = host[1]
		}
	}
	switch "" {
	case service:
		return probe.Found(probe.CodeAuthMethodUnsupported, "An AWS signature names the service, such as execute-api or es. Set aws.service. Nothing was sent.").At(fieldAWSService)
	case region:
		return probe.Found(probe.CodeAuthMethodUnsupported, "An AWS signature names the region, such as us-east-1. Set aws.region. Nothing was sent.").At(fieldAWSRegion)
	}
	t.plan.blame, t.plan.blameID = fieldAWSSecret, fieldAWSKey
	made := another(key)
	t.plan.sign = func(r *http.Request, body []byte, forged bool) error {
		signWith := key
		if forged {
			signWith = made
		}
		// One signer each: it caches the derived key by the access key id alone.
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:])
		if service == "s3" {
			r.Header.Set("X-Amz-Content-Sha256", hash)
		}
		credentials := aws.Credentials{AccessKeyID: id, SecretAccessKey: signWith.ExposeText(), SessionToken: session.ExposeText()}
		if err := signer.SignHTTP(context.Background(), credentials, r, hash, service, region, time.Now()); err != nil {
			return probe.Found(probe.CodeAuthMethodUnsupported, "The request cannot be signed. Check its address. Nothing was sent.").At(t.plan.urlField)
		}
		return nil
	}
	return nil
}

// awsHost reads service and region from a host of AWS: service.region.amazonaws.com
// or id.service.region.amazonaws.com; "" for what it does not name.
func awsHost(u *url.URL) [2]string {
	if u == nil {
		return [2]string{}
	}
	name, ok := strings.CutSuffix(strings.ToLower(u.Hostname()), ".amazonaws.com")
	labels := strings.Split(name, ".")
	switch n := len(labels); {
	case !ok:
		return [2]string{}
	case n == 1:
		return [2]string{labels[0], "us-east-1"} // sts.amazonaws.com, iam.amazonaws.com
	default:
		return [2]string{labels[n-2], labels[n-1]}
	}
}
