package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

func TestBatchKeepsOrderAndFailsItemsAlone(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(func(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
		if !req.Patient {
			t.Error("an item of a batch is not patient")
		}
		switch req.PlaybackID {
		case "DENIED":
			return nil, playback.Denied("not_released")
		case "BROKEN":
			return nil, errors.New("the database password is hunter2")
		case "PANIC":
			panic("at the disco")
		case "PUBLIC":
			return granting(req, playback.PolicyPublic), nil
		}
		return granting(req, playback.PolicySigned), nil
	})
	r := k.post("/v1/tokens/batch", `{"requests":[
		{"playback_id":"P1"}, {"playback_id":"DENIED"}, {"playback_id":"P2","types":["gif"]}, {"playback_id":"a-b"},
		{"playback_id":"P3","types":["movie"]}, 5, {"playback_id":"P4","x":1}, {"playback_id":"BROKEN"}, {"playback_id":"PANIC"},
		{"playback_id":"PUBLIC"}, {"playback_id":"P5","playback_id":"P5"}, null]}`, basicAuth(acmeBackend, secret))
	k.want(r, 200, "")
	var got []string
	for _, d := range r.decode(t)["data"].([]any) {
		item := d.(map[string]any)
		if data, ok := item["data"].(map[string]any); ok {
			got = append(got, data["playback_id"].(string))
			continue
		}
		e := item["error"].(map[string]any)
		if e["request_id"] != r.Header.Get("X-Request-Id") || e["type"] == "" || len(e["messages"].([]any)) != 1 {
			t.Errorf("the item's error is no whole error object: %v", e)
		}
		got = append(got, e["code"].(string)+" "+e["messages"].([]any)[0].(string))
	}
	want := []string{
		"P1", "not_released ", "P2", "invalid_playback_id requests[3].playback_id:", "unknown_type requests[4].types[0]:", "invalid_field requests[5]:",
		"invalid_field requests[6].x:", "internal_error The gateway", "internal_error The gateway", "PUBLIC", "invalid_field requests[10].playback_id:", "invalid_field requests[11]:",
	}
	for i := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("items = %q, want %q", got, want)
		}
	}
	diff(t, "X-Playgate-Cache", r.Header.Get("X-Playgate-Cache"), "miss")
	if strings.Contains(r.body, "hunter2") || strings.Contains(r.body, "disco") {
		t.Errorf("a cause reached the client: %s", r.body)
	}
	if log := k.log.text(); !strings.Contains(log, "hunter2") || !strings.Contains(log, "disco") || !strings.Contains(log, `"failed_items":9`) {
		t.Errorf("a cause did not reach the log: %s", log)
	}
}

func TestBatchBounds(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	items := func(n int, item string) string {
		return `{"requests":[` + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + `]}`
	}
	one, four := `{"playback_id":"P"}`, `{"playback_id":"P","types":["video","gif","thumbnail","storyboard"]}`
	for _, c := range []struct {
		name, body, credential string
		status                 int
	}{
		{"no items", items(0, ""), basicAuth(acmeBackend, secret), 400},
		{"100 items", items(100, one), basicAuth(acmeBackend, secret), 200},
		{"101 items", items(101, one), basicAuth(acmeBackend, secret), 400},
		{"200 tokens", items(50, four), basicAuth(acmeBackend, secret), 200},
		{"204 tokens", items(51, four), basicAuth(acmeBackend, secret), 400},
		{"a viewer's 50 tokens", items(50, one), bearer(acmeViewer), 200},
		{"a viewer's 51 tokens", items(51, one), bearer(acmeViewer), 400},
		{"an anonymous 51 tokens", items(51, one), "Host: " + globexHost, 400},
	} {
		before := k.issuer.count()
		r := k.post("/v1/tokens/batch", c.body, c.credential)
		code := playback.Code("")
		if c.status == 400 {
			code = playback.CodeInvalidField
		}
		if r.StatusCode != c.status || r.code() != code {
			t.Errorf("%s: answered %d %q, want %d %q", c.name, r.StatusCode, r.code(), c.status, code)
		}
		if c.status != 200 && k.issuer.count() != before {
			t.Errorf("%s: the issuer was asked", c.name)
		}
	}
	for body, code := range map[string]playback.Code{
		`{}`: playback.CodeInvalidField, `{"requests":null}`: playback.CodeInvalidField, `{"requests":{}}`: playback.CodeInvalidField,
		`{"requests":[{"playback_id":"P"}],"x":1}`: playback.CodeInvalidField, `{"requests":[{"playback_id":"P"}]} x`: playback.CodeInvalidField,
		`{"requests":[{"playback_id":"P"}],"requests":[]}`: playback.CodeInvalidField, `[]`: playback.CodeInvalidField,
		`{"requests":[` + strings.Repeat("0,", 60000) + `0]}`: playback.CodeInvalidField,
	} {
		k.want(k.post("/v1/tokens/batch", body, basicAuth(acmeBackend, secret)), 400, code)
	}
}

func TestBatchIsAHitOnlyIfEveryItemWas(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(func(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
		if req.PlaybackID == "NO" {
			return nil, playback.Denied("no")
		}
		policy := playback.PolicySigned
		if req.PlaybackID == "PUB" {
			policy = playback.PolicyPublic
		}
		a := granting(req, policy)
		a.Hit = req.PlaybackID == "HIT"
		return a, nil
	})
	for ids, want := range map[string]string{"HIT HIT": "hit", "HIT MISS": "miss", "HIT NO PUB": "hit", "PUB": "", "NO": ""} {
		var items []string
		for id := range strings.SplitSeq(ids, " ") {
			items = append(items, `{"playback_id":"`+id+`"}`)
		}
		r := k.post("/v1/tokens/batch", `{"requests":[`+strings.Join(items, ",")+`]}`, bearer(acmeViewer))
		diff(t, ids, r.Header.Get("X-Playgate-Cache"), want)
	}
}

func TestAViewerCannotSpeakForAnotherInABatch(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	r := k.post("/v1/tokens/batch", `{"requests":[{"playback_id":"P","viewer":{"id":"u2"}},{"playback_id":"P"}]}`, bearer(acmeViewer))
	k.want(r, 200, "")
	items := r.decode(t)["data"].([]any)
	if code := items[0].(map[string]any)["error"].(map[string]any)["code"]; code != "insufficient_permissions" {
		t.Errorf("code = %v", code)
	}
	if items[1].(map[string]any)["data"] == nil || k.issuer.count() != 1 || k.issuer.last(t).Viewer.ID != "u1" {
		t.Errorf("items = %v", items)
	}
}
