package httpprobe_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"credence/shared/probe"
	"credence/shared/probe/builtin"
	"credence/shared/probe/probetest"
)

// A proven version is probed again without a counter-example: its answer is
// compared with the class of the rejection that was seen when it was proven.
func TestRecheckSendsNoCounterExample(t *testing.T) {
	var requests atomic.Int64
	var status atomic.Int64
	url := web(t, nil, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.WriteHeader(int(status.Load()))
		if r.Header.Get("X-Api-Key") != key {
			t.Error("another secret was sent")
		}
	}).URL
	first := run(t, with(api(t, nil, header("X-Api-Key", key)), nil), probe.Config{})
	if first.Code != probe.CodeOK || first.Rejection == "" || len(first.Rejection) > 128 {
		t.Fatalf("%s, rejection %q", first.Code, first.Rejection)
	}
	runner := probe.NewRunner(builtin.Probers(), probetest.Loopback(t, nil), probe.Config{})
	for _, row := range []struct {
		status int64
		want   probe.Code
	}{{200, probe.CodeOK}, {204, probe.CodeOK}, {401, probe.CodeAuthRejected}, {403, probe.CodeSecretNotTested}, {302, probe.CodeSecretNotTested}, {503, probe.CodeTargetUnavailable}} {
		status.Store(row.status)
		requests.Store(0)
		got := runner.Recheck(t.Context(), "rest", check(t, with(url, nil)), first.Rejection)
		probetest.Sound(t, got, key)
		if got.Code != row.want || requests.Load() != 1 {
			t.Errorf("%d: %s after %d requests, want %s: %s", row.status, got.Code, requests.Load(), row.want, got.Message)
		}
	}
}

// A token that is traded anew for each probe is compared in the same way.
func TestRecheckOfAnExchange(t *testing.T) {
	var trades atomic.Int64
	take := grant("app", key, "header")
	s := at(api(t, func(w http.ResponseWriter, r *http.Request) {
		trades.Add(1)
		take(w, r)
	}, header("Authorization", "Bearer "+token)), settings{
		"auth.type": "OAUTH2", "oauth2.client.id": "app", "oauth2.client.secret": key, "oauth2.access.token.url": "/token",
	})
	first := run(t, s, probe.Config{})
	if first.Code != probe.CodeOK || trades.Load() != 2 {
		t.Fatalf("%s after %d trades", first.Code, trades.Load())
	}
	runner := probe.NewRunner(builtin.Probers(), probetest.Loopback(t, nil), probe.Config{})
	trades.Store(0)
	if got := runner.Recheck(t.Context(), "rest", check(t, s), first.Rejection); got.Code != probe.CodeOK || trades.Load() != 1 {
		t.Errorf("%s after %d trades", got.Code, trades.Load())
	}
}
