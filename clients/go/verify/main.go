// Command verify checks a picture against prompts and shows scores and boxes.
package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	veriframe "example.com/veriframe/gen/veriframe/v1"
	"example.com/veriframe/internal/calls"
)

// For all tries together.
const deadline = 30 * time.Second

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: verify PICTURE PROMPT…")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	answer, err := verify(ctx, os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", calls.Describe(err))
		os.Exit(1)
	}
	show(answer)
}

func verify(ctx context.Context, path string, prompts []string) (*veriframe.VerifyResponse, error) {
	picture, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	connection, err := calls.Connect()
	if err != nil {
		return nil, err
	}
	defer connection.Close()

	client := veriframe.NewVerificationServiceClient(connection)
	request := &veriframe.VerifyRequest{
		Image:      &veriframe.Image{Content: &veriframe.Image_Encoded{Encoded: picture}},
		Similarity: &veriframe.SimilarityQuery{Prompts: prompts},
		Detection:  &veriframe.DetectionQuery{},
	}
	var retry calls.Retry
	for {
		answer, err := client.Verify(ctx, request)
		if err == nil || !retry.Wait(ctx, err) {
			return answer, err
		}
	}
}

func show(answer *veriframe.VerifyResponse) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer table.Flush()

	fmt.Fprintln(table, "prompt\tcontrast\tconfidence\tcosine\tsoftmax")
	for _, score := range answer.GetSimilarity().GetScores() {
		confidence := "none" // the model is not calibrated
		if score.Confidence != nil {
			confidence = percent(score.GetConfidence())
		}
		fmt.Fprintf(table, "%s\t%+.3f\t%s\t%.3f\t%.3f\n", score.GetPrompt(), score.GetContrast(),
			confidence, score.GetCosine(), score.GetSoftmax())
	}
	fmt.Fprintln(table)
	fmt.Fprintln(table, "box\tconfidence\tx1\ty1\tx2\ty2")
	for _, found := range answer.GetDetection().GetDetections() {
		box := found.GetBox()
		fmt.Fprintf(table, "%s\t%s\t%.0f\t%.0f\t%.0f\t%.0f\n", found.GetLabel(),
			percent(float64(found.GetConfidence())), box.GetX1(), box.GetY1(), box.GetX2(), box.GetY2())
	}
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }
