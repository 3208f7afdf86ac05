package calls

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	firstDelay = 250 * time.Millisecond
	maxDelay   = 4 * time.Second
	maxTries   = 20
)

// Retry is one call's further tries.
type Retry struct{ failed int }

// Wait waits until the call that failed with err may be tried again. Where another try would not help
// or the deadline would come first, it returns false at once.
func (r *Retry) Wait(ctx context.Context, err error) bool {
	r.failed++
	delay, ok := r.delay(err)
	if !ok || r.failed == maxTries {
		return false
	}
	if deadline, has := ctx.Deadline(); has && time.Until(deadline) < delay {
		return false
	}
	fmt.Fprintf(os.Stderr, "%s; trying again in %v\n", summary(err), delay.Round(time.Millisecond))
	select {
	case <-time.After(delay):
		return true
	case <-ctx.Done():
		return false
	}
}

// Progress tells that the last try got somewhere, so that the next failure is a first one.
func (r *Retry) Progress() { r.failed = 0 }

// delay is the time that the server asks for, or one that doubles where a server is away. A little is
// added by chance, so that clients that failed together do not come again together.
func (r *Retry) delay(err error) (time.Duration, bool) {
	reported := status.Convert(err)
	if code := reported.Code(); code != codes.Unavailable && code != codes.ResourceExhausted {
		return 0, false
	}
	delay := min(firstDelay<<(r.failed-1), maxDelay)
	told := false
	for _, detail := range reported.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			delay, told = info.GetRetryDelay().AsDuration(), true
		}
	}
	// Without a time to come again it is for good: a message over the limit, say.
	if reported.Code() == codes.ResourceExhausted && !told {
		return 0, false
	}
	return delay + time.Duration(rand.Int64N(int64(delay)/4+1)), true
}
