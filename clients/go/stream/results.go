package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc/status"

	veriframe "example.com/veriframe/gen/veriframe/v1"
	"example.com/veriframe/internal/calls"
)

// receive shows what comes until the stream's end, and returns the number of the last frame answered.
func receive(stream veriframe.VerificationService_VerifyStreamClient, last int64) (int64, error) {
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
		switch told := message.GetMessage().(type) {
		case *veriframe.VerifyStreamResponse_Result:
			last = int64(told.Result.GetSequence())
			showResult(told.Result)
		case *veriframe.VerifyStreamResponse_Event:
			showEvent(told.Event)
		case *veriframe.VerifyStreamResponse_Summary:
			showSummary(told.Summary)
		}
	}
}

// showResult has a line for each frame, however it ended.
func showResult(result *veriframe.FrameResult) {
	fmt.Printf("%5d  %s  ", result.GetSequence(), seconds(result.GetPresentationTime().AsDuration()))
	switch outcome := result.GetOutcome().(type) {
	case *veriframe.FrameResult_Ok:
		fmt.Println("ok      ", scores(outcome.Ok, result.GetVerdicts()))
	case *veriframe.FrameResult_Dropped:
		fmt.Println("dropped ", word("DROP_REASON_", outcome.Dropped.GetReason()))
	case *veriframe.FrameResult_Expired:
		fmt.Println("expired  after", seconds(outcome.Expired.GetAfter().AsDuration()))
	case *veriframe.FrameResult_Error:
		fmt.Println("error   ", calls.Describe(status.FromProto(outcome.Error).Err()))
	}
}

// scores tells each prompt's contrast in this frame, and its verdict over the frames so far.
func scores(answer *veriframe.VerifyResponse, verdicts []*veriframe.PromptVerdict) string {
	verdict := make(map[string]string, len(verdicts))
	for _, v := range verdicts {
		verdict[v.GetPrompt()] = word("VERDICT_", v.GetVerdict())
	}
	var parts []string
	for _, score := range answer.GetSimilarity().GetScores() {
		prompt := score.GetPrompt()
		parts = append(parts, fmt.Sprintf("%s %+.3f %s", prompt, score.GetContrast(), verdict[prompt]))
	}
	return strings.Join(parts, ", ")
}

func showEvent(event *veriframe.SegmentEvent) {
	fmt.Printf("       %s: %s, %s\n", event.GetPrompt(), word("SEGMENT_CHANGE_", event.GetChange()),
		span(event.GetSegment()))
}

func showSummary(summary *veriframe.StreamSummary) {
	fmt.Printf("%d frames: %d ok, %d dropped, %d expired, %d errors; end: %s\n", summary.GetFrames(),
		summary.GetOk(), summary.GetDropped(), summary.GetExpired(), summary.GetErrors(),
		word("STREAM_END_", summary.GetEnd()))
	for _, prompt := range summary.GetVerdicts().GetPrompts() {
		fmt.Printf("%s: %s", prompt.GetPrompt(), word("VERDICT_", prompt.GetVerdict()))
		for _, reason := range prompt.GetReasons() {
			fmt.Printf(", %s", word("VERDICT_REASON_", reason))
		}
		for _, segment := range prompt.GetSegments() {
			fmt.Printf(", %s", span(segment))
		}
		fmt.Println()
	}
}

func span(segment *veriframe.VerdictSegment) string {
	return fmt.Sprintf("%s to %s, best at frame %d", seconds(segment.GetStart().AsDuration()),
		seconds(segment.GetEnd().AsDuration()), segment.GetPeak().GetSequence())
}

func seconds(time time.Duration) string { return fmt.Sprintf("%.2f s", time.Seconds()) }

// word is the name of an enum's value as people write it.
func word(prefix string, value fmt.Stringer) string {
	name := strings.TrimPrefix(value.String(), prefix)
	return strings.ToLower(strings.ReplaceAll(name, "_", " "))
}
