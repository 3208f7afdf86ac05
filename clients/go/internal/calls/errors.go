package calls

import (
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// Describe tells an error with the fields that must be changed, each on a line of its own, unless the
// message says no less.
func Describe(err error) string {
	var text strings.Builder
	text.WriteString(summary(err))
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range bad.GetFieldViolations() {
				line := fmt.Sprintf("%s: %s", violation.GetField(), violation.GetDescription())
				if line != status.Convert(err).Message() {
					text.WriteString("\n    " + line)
				}
			}
		}
	}
	return text.String()
}

func summary(err error) string {
	reported, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	return fmt.Sprintf("%v: %s", reported.Code(), reported.Message())
}
