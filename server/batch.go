package server

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// The bounds of a batch (contract §4).
const (
	maxItems        = 100
	maxTokens       = 200
	maxViewerTokens = 50
	// batchWorkers is how many items of one batch are asked for at once: enough
	// to keep the signer busy, few enough to leave it to others too.
	batchWorkers = 8
	// maxCauses bounds the items whose failure the log explains.
	maxCauses = 10
)

// batchItem is one request of a batch and what became of it.
type batchItem struct {
	k      *call
	answer *issuer.Answer
	err    error
}

// postBatch answers POST /v1/tokens/batch. An item that fails fails alone; a
// batch beyond a bound fails whole, before anything is charged or signed.
func postBatch(s *Server, _ *compiled, c *fiber.Ctx, x *middleware.Exchange) error {
	if err := checkJSON(c); err != nil {
		return err
	}
	items, tokens, err := s.parseBatch(c, x)
	if err != nil {
		return err
	}
	defer release(items)
	if err := s.limits.Charge(x, tokens-1); err != nil {
		return err
	}
	s.issueAll(x, items)
	s.tellBatch(c, x, items)
	x.Buf = append(x.Buf[:0], `{"data":[`...)
	for i := range items {
		if i > 0 {
			x.Buf = append(x.Buf, ',')
		}
		x.Buf = s.appendBatchItem(x.Buf, x, &items[i])
	}
	x.Buf = append(x.Buf, "]}"...)
	return send(c, x)
}

// parseBatch reads the body of a batch.
func (s *Server) parseBatch(c *fiber.Ctx, x *middleware.Exchange) (items []batchItem, tokens int, err error) {
	defer s.parse(x.Body)()
	sent, trailing, refusal := readJSON(x.Body)
	if refusal != nil {
		return nil, 0, refusal
	}
	if trailing != nil {
		return nil, 0, trailing
	}
	items, tokens, refusal = readBatch(c, x, &sent)
	if refusal != nil {
		return nil, 0, refusal
	}
	return items, tokens, nil
}

func release(items []batchItem) {
	for i := range items {
		if items[i].k != nil {
			items[i].k.release()
		}
	}
}

// readBatch reads every item, and how many tokens those ask for that can be
// read.
func readBatch(c *fiber.Ctx, x *middleware.Exchange, v *jsonValue) (items []batchItem, tokens int, err *playback.Error) {
	if v.repeated {
		return nil, 0, fieldError(join("", v.text), "is given twice")
	}
	var requests *jsonValue
	for i := range v.children {
		m := &v.children[i]
		if m.name != "requests" {
			return nil, 0, batchNames.unknown("", m.name)
		}
		requests = &m.value
	}
	if requests == nil || requests.kind != jsonArray || len(requests.children) == 0 || len(requests.children) > maxItems {
		return nil, 0, fieldError("requests", "want an array of 1 to "+strconv.Itoa(maxItems)+" requests")
	}
	items = make([]batchItem, len(requests.children))
	for i := range items {
		body := &requests.children[i].value
		refusal := forbidden(x, body)
		if refusal == nil {
			items[i].k, refusal = readOrder(c, x, body, below(requests, "requests", i))
		}
		if refusal != nil {
			items[i].err = refusal
			continue
		}
		items[i].k.Patient = true
		tokens += len(items[i].k.Types)
	}
	most := maxTokens
	if x.Kind != middleware.BackendCaller {
		most = maxViewerTokens
	}
	if tokens > most {
		return nil, 0, fieldError("requests", "ask for more than "+strconv.Itoa(most)+" tokens")
	}
	return items, tokens, nil
}

// issueAll asks for every item that could be read. It returns when all are
// answered.
func (s *Server) issueAll(x *middleware.Exchange, items []batchItem) {
	end := time.Now().Add(issueTimeout) //nolint:forbidigo // what waits runs on the real clock, whatever the tests inject
	var next atomic.Int64
	ruleWork := new(atomic.Uint64)
	var workers sync.WaitGroup
	for range min(batchWorkers, len(items)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(items); i = int(next.Add(1)) - 1 {
				if items[i].k != nil {
					items[i].k.RuleWork = ruleWork
					s.issueItem(x, &items[i], time.Until(end))
				}
			}
		})
	}
	workers.Wait()
}

// issueItem asks for one item. A panic fails the item: there is no Recover
// above a goroutine.
func (s *Server) issueItem(x *middleware.Exchange, item *batchItem, within time.Duration) {
	defer func() {
		if value := recover(); value != nil {
			item.err = middleware.Recovered(value)
		}
	}()
	item.answer, item.err = s.issue(x, item.k, within)
}

// tellBatch tells the access log what failed, and the client whether anything
// had to be signed.
func (s *Server) tellBatch(c *fiber.Ctx, x *middleware.Exchange, items []batchItem) {
	signed, hit := false, true
	var causes []string
	for i := range items {
		if err := items[i].err; err != nil {
			refusal := refusalOf(err)
			items[i].err = localize(c, refusal)
			s.metrics.refused(x, refusal.Code)
			x.Outcome.Failed++
			x.Outcome.Internal = x.Outcome.Internal || refusal.Kind == playback.InternalError
			if len(causes) < maxCauses {
				causes = append(causes, fmt.Sprintf("requests[%d]: %s: %s", i, refusal.Code, causeOf(refusal)))
			}
			if stack := middleware.StackOf(err); stack != nil {
				x.Outcome.Stack = stack
			}
			continue
		}
		if items[i].answer.Signed() {
			signed, hit = true, hit && items[i].answer.Hit
		}
	}
	if len(causes) > 0 {
		x.Outcome.Cause = errors.New(strings.Join(causes, "; "))
	}
	if signed {
		tellCache(c, x, hit)
	}
}

func (s *Server) appendBatchItem(b []byte, x *middleware.Exchange, item *batchItem) []byte {
	if item.err != nil {
		return appendError(b, refusalOf(item.err), x.ID)
	}
	drm := slices.Contains(item.k.Types, playback.DRMLicense)
	return s.scribe(x, item.answer).appendBundle(b, x.Environment.ID, drm)
}
