// Command stream checks the frames of a folder, in the order of their names, against prompts, and
// shows each result as it comes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	veriframe "example.com/veriframe/gen/veriframe/v1"
	"example.com/veriframe/internal/calls"
)

// For one stream; one that goes on after a break has it anew.
const deadline = 10 * time.Minute

var pictures = []string{".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}

// options is what the command line says.
type options struct {
	fps     float64
	live    bool
	resume  int64
	frames  []string
	prompts []string
}

func main() {
	var asked options
	flag.Float64Var(&asked.fps, "fps", 12, "frames per second of the video")
	flag.BoolVar(&asked.live, "live", false, "send at that speed, and rather drop frames than fall behind")
	flag.Int64Var(&asked.resume, "resume-after", -1, "number of the last `frame` that has its result")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: stream [--fps N] [--live] [--resume-after FRAME] FOLDER PROMPT…")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() < 2 || asked.fps <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	asked.prompts = flag.Args()[1:]
	if err := run(&asked, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "error:", calls.Describe(err))
		os.Exit(1)
	}
}

// run streams the folder, and opens the stream again where it broke off before its end.
func run(asked *options, folder string) (err error) {
	if asked.frames, err = list(folder); err != nil {
		return err
	}
	connection, err := calls.Connect()
	if err != nil {
		return err
	}
	defer connection.Close()

	client := veriframe.NewVerificationServiceClient(connection)
	last := asked.resume
	var retry calls.Retry
	for {
		before := last
		last, err = once(context.Background(), client, asked, last)
		if err == nil {
			return nil
		}
		if last > before {
			retry.Progress()
		}
		if !retry.Wait(context.Background(), err) {
			if last >= 0 {
				fmt.Fprintf(os.Stderr, "to go on after the last result, add --resume-after %d\n", last)
			}
			return err
		}
		if last >= 0 {
			fmt.Printf("going on after frame %d\n", last)
		}
	}
}

// once streams the frames after number `last` and returns the number of the last one answered.
func once(
	ctx context.Context, client veriframe.VerificationServiceClient, asked *options, last int64,
) (int64, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	stream, err := client.VerifyStream(ctx)
	if err != nil {
		return last, err
	}

	// Frames go out beside the results that come in: a client that sends all first and reads then
	// would wait for ever, as the server reads no further while nobody takes its results.
	sender := make(chan struct{})
	go func() {
		defer close(sender)
		if err := send(ctx, stream, asked, last); err != nil {
			stop(err)
		}
	}()
	last, err = receive(stream, last)
	if cause := context.Cause(ctx); err != nil && cause != nil && status.Code(err) == codes.Canceled {
		err = cause
	}
	cancel()
	<-sender
	return last, err
}

// send sends the configuration, the frames after number `last`, and the end.
func send(
	ctx context.Context, stream veriframe.VerificationService_VerifyStreamClient, asked *options,
	last int64,
) error {
	// A stream that the server has ended gives io.EOF here; why it did comes with the results.
	if stream.Send(config(asked, last)) != nil {
		return nil
	}
	started := time.Now()
	for i := last + 1; i < int64(len(asked.frames)); i++ {
		if asked.live {
			due := started.Add(asked.time(i - last - 1))
			select {
			case <-time.After(time.Until(due)):
			case <-ctx.Done():
				return nil
			}
		}
		picture, err := os.ReadFile(asked.frames[i])
		if err != nil {
			return err
		}
		frame := &veriframe.Frame{
			Sequence:         uint64(i),
			PresentationTime: durationpb.New(asked.time(i)),
			Image:            &veriframe.Image{Content: &veriframe.Image_Encoded{Encoded: picture}},
		}
		message := &veriframe.VerifyStreamRequest{Message: &veriframe.VerifyStreamRequest_Frame{Frame: frame}}
		if stream.Send(message) != nil {
			return nil
		}
	}
	return stream.CloseSend()
}

// time is that of a frame from the start of the video.
func (o *options) time(frame int64) time.Duration {
	return time.Duration(float64(frame) / o.fps * float64(time.Second))
}

func config(asked *options, last int64) *veriframe.VerifyStreamRequest {
	config := &veriframe.StreamConfig{
		Similarity: &veriframe.SimilarityQuery{Prompts: asked.prompts},
		Verdicts:   &veriframe.VerdictQuery{},
		Policy:     veriframe.OverloadPolicy_OVERLOAD_POLICY_WAIT,
	}
	if asked.live {
		config.Policy = veriframe.OverloadPolicy_OVERLOAD_POLICY_DROP_OLDEST
	}
	if last >= 0 {
		after := uint64(last)
		config.ResumeAfter = &after
	}
	return &veriframe.VerifyStreamRequest{Message: &veriframe.VerifyStreamRequest_Config{Config: config}}
}

// list is the folder's pictures in the order of their names.
func list(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var frames []string
	for _, entry := range entries {
		if slices.Contains(pictures, strings.ToLower(filepath.Ext(entry.Name()))) {
			frames = append(frames, filepath.Join(folder, entry.Name()))
		}
	}
	if len(frames) == 0 {
		return nil, fmt.Errorf("%s has no frames, files that end with %s", folder, strings.Join(pictures, " "))
	}
	return frames, nil
}
