package signer_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/playback"
)

func TestPoolRefusesBeyondItsQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop(t, 16)
		gate := w.backend.shut()
		var answers []*answer
		for range 1 + 16 { // one is being signed
			answers = append(answers, w.sign(t.Context(), playback.Turn{}))
		}
		for _, turn := range []playback.Turn{{}, {Caller: "u1"}, {Caller: "u1", Patient: true}} {
			a := w.sign(t.Context(), turn)
			if is, own := overloaded(a.err); !a.done || !is || own {
				t.Errorf("Sign(%+v) with a full queue: %v, %v", turn, a.done, a.err)
			}
		}
		if got := metric(t, w.registry, "playgate_signing_queue_depth"); got != 16 {
			t.Errorf("queue depth %v, want 16", got)
		}
		close(gate)
		w.running.Wait()
		for i, a := range answers {
			if a.err != nil {
				t.Errorf("answer %d: %v", i, a.err)
			}
		}
		w.stop()
		for _, want := range []struct {
			result string
			count  float64
		}{{"signed", 17}, {"queue_full", 3}} {
			if got := metric(t, w.registry, "playgate_signatures_total", "result", want.result, "ahead", "false"); got != want.count {
				t.Errorf("counted %v %s, want %v", got, want.result, want.count)
			}
		}
		if got := metric(t, w.registry, "playgate_signing_seconds"); got != 17 {
			t.Errorf("observed %v signatures, want 17", got)
		}
	})
}

func TestRetryAfterIsTheTimeToDrainTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop(t, 4)
		close(w.backend.shut())
		w.backend.took = 800 * time.Millisecond
		for range 150 { // the pace is learnt
			w.sign(t.Context(), playback.Turn{})
			w.running.Wait()
		}
		if got := w.pool.RetryAfter(); got != time.Second {
			t.Errorf("RetryAfter of an idle pool = %v, want 1s", got)
		}
		gate := w.backend.shut()
		for range 5 {
			w.sign(t.Context(), playback.Turn{})
		}
		a := w.sign(t.Context(), playback.Turn{})
		var e *playback.Error
		if !errors.As(a.err, &e) || e.RetryAfter != 4*time.Second {
			t.Errorf("RetryAfter = %v, want 4s for 5 signatures of 800ms", a.err)
		}
		close(gate)
		w.stop()
	})
}

func TestOneCallerHoldsAnEighthOfTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop(t, 16) // a share is 2 places, queued or running
		gate := w.backend.shut()
		one, two := w.sign(t.Context(), playback.Turn{Caller: "u1"}), w.sign(t.Context(), playback.Turn{Caller: "u1"})
		third := w.sign(t.Context(), playback.Turn{Caller: "u1"})
		if is, own := overloaded(third.err); !third.done || !is || !own {
			t.Errorf("a third place: %v, %v, want the caller's own overload at once", third.done, third.err)
		}
		patient := w.sign(t.Context(), playback.Turn{Caller: "u1", Patient: true})
		if patient.done {
			t.Errorf("a patient caller was answered at once: %v", patient.err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		late := w.sign(ctx, playback.Turn{Caller: "u1", Patient: true})
		for _, other := range []string{"u2", ""} {
			if a := w.sign(t.Context(), playback.Turn{Caller: other}); a.done {
				t.Errorf("caller %q was refused: %v", other, a.err)
			}
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if is, own := overloaded(late.err); !late.done || !is || own || !errors.Is(late.err, context.DeadlineExceeded) {
			t.Errorf("a patient caller whose time ended: %v, %v", late.done, late.err)
		}
		close(gate)
		w.running.Wait()
		for i, a := range []*answer{one, two, patient} {
			if a.err != nil {
				t.Errorf("answer %d: %v", i, a.err)
			}
		}
		if a := w.sign(t.Context(), playback.Turn{Caller: "u1"}); a.err != nil {
			t.Errorf("the share was not given back: %v", a.err)
		}
		w.stop()
	})
}

func TestSmallQueuesStillServeEveryCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop(t, 3) // a share is max(1, ⌊3/8⌋)
		gate := w.backend.shut()
		one := w.sign(t.Context(), playback.Turn{Caller: "u1"})
		refused := w.sign(t.Context(), playback.Turn{Caller: "u1"})
		other := w.sign(t.Context(), playback.Turn{Caller: "u2"})
		close(gate)
		w.stop()
		if _, own := overloaded(refused.err); one.err != nil || other.err != nil || !own {
			t.Errorf("answers %v, %v, %v", one.err, refused.err, other.err)
		}
	})
}

func TestAPlaceThatIsHandedToSomebodyGoneIsPassedOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop(t, 8) // a share is 1 place
		for range 20 {
			gate := w.backend.shut()
			w.sign(t.Context(), playback.Turn{Caller: "u1"})
			ctx, cancel := context.WithCancel(t.Context())
			w.sign(ctx, playback.Turn{Caller: "u1", Patient: true})
			last := w.sign(t.Context(), playback.Turn{Caller: "u1", Patient: true})
			go cancel() // races with the hand-over
			close(gate)
			w.running.Wait()
			if last.err != nil {
				t.Fatalf("the last in line: %v", last.err)
			}
		}
		w.stop()
	})
}

func TestAPlaceOfTheShareIsTakenOverFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop(t, 8) // a share is 1 place
		gate := w.backend.shut()
		w.sign(t.Context(), playback.Turn{})
		ctx, cancel := context.WithCancel(t.Context())
		gone := w.sign(ctx, playback.Turn{Caller: "u1"})
		patient := playback.Turn{Caller: "u1", Patient: true}
		first, second := w.sign(t.Context(), patient), w.sign(t.Context(), patient)
		cancel() // the place is free for first; second goes on waiting
		synctest.Wait()
		if got := metric(t, w.registry, "playgate_signing_queue_depth"); got != 1 {
			t.Errorf("%v jobs wait, want 1", got)
		}
		w.running.Go(w.pool.Stop)
		synctest.Wait()
		close(gate)
		w.running.Wait()
		if is, _ := overloaded(second.err); !errors.Is(gone.err, context.Canceled) || first.err != nil || !is {
			t.Errorf("answers %v, %v, %v; want the last refused because the pool stops", gone.err, first.err, second.err)
		}
	})
}

func TestAJobWhoseContextEndsLeavesTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop(t, 8)
		gate := w.backend.shut()
		running, cancelRunning := context.WithCancel(t.Context())
		taken := w.sign(running, playback.Turn{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		gone := w.sign(ctx, playback.Turn{Caller: "u1"})
		time.Sleep(2 * time.Second)
		cancelRunning()
		synctest.Wait()
		for _, a := range []*answer{gone, taken} {
			if is, own := overloaded(a.err); !a.done || !is || own {
				t.Errorf("a caller whose context ended: %v, %v", a.done, a.err)
			}
		}
		if !errors.Is(gone.err, context.DeadlineExceeded) || !errors.Is(taken.err, context.Canceled) {
			t.Errorf("the causes are lost: %v, %v", gone.err, taken.err)
		}
		if got := metric(t, w.registry, "playgate_signing_queue_depth"); got != 0 {
			t.Errorf("%v jobs wait, want 0", got)
		}
		if a := w.sign(ctx, playback.Turn{}); !a.done || !errors.Is(a.err, context.DeadlineExceeded) {
			t.Errorf("Sign with a context that ended before: %v", a.err)
		}
		close(gate)
		w.stop()
		if got := w.backend.signed(); len(got) != 1 {
			t.Errorf("the backend signed %v, want only what was taken", got)
		}
	})
}

func TestFirstComeFirstServedAndRefreshAheadLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop(t, 16)
		gate := w.backend.shut()
		var mu sync.Mutex
		var order []string
		ask := func(name string, turn playback.Turn) {
			w.running.Go(func() {
				if _, err := w.pool.Sign(t.Context(), claims(t, w.ring), turn); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, name)
			})
			synctest.Wait()
		}
		ask("first", playback.Turn{})
		ask("ahead 1", playback.Turn{Ahead: true})
		ask("second", playback.Turn{Caller: "u1"})
		ask("ahead 2", playback.Turn{Ahead: true})
		ask("third", playback.Turn{})
		for range 5 { // one at a time, so that the order can be seen
			next := w.backend.shut()
			close(gate)
			synctest.Wait()
			gate = next
		}
		close(gate)
		w.stop()
		if diff := cmp.Diff([]string{"first", "second", "third", "ahead 1", "ahead 2"}, order); diff != "" {
			t.Errorf("order: (-want +got)\n%s", diff)
		}
		if got := metric(t, w.registry, "playgate_signatures_total", "result", "signed", "ahead", "true"); got != 2 {
			t.Errorf("counted %v signed ahead, want 2", got)
		}
	})
}

func TestRefreshAheadIsDroppedWhenItsLineIsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorkshop(t, 8)
		gate := w.backend.shut()
		w.sign(t.Context(), playback.Turn{})
		for range 8 {
			if a := w.sign(t.Context(), playback.Turn{Ahead: true}); a.done {
				t.Fatalf("refused with room in the line: %v", a.err)
			}
		}
		a := w.sign(t.Context(), playback.Turn{Ahead: true})
		if is, _ := overloaded(a.err); !a.done || !is {
			t.Errorf("beyond the line: %v, %v", a.done, a.err)
		}
		if a := w.sign(t.Context(), playback.Turn{}); a.done {
			t.Errorf("refresh-ahead takes the room of a request: %v", a.err)
		}
		close(gate)
		w.stop()
	})
}
