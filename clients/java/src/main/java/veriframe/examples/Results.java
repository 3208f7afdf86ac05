package veriframe.examples;

import java.util.Map;
import java.util.stream.Collectors;
import veriframe.v1.FrameResult;
import veriframe.v1.PromptSummary;
import veriframe.v1.PromptVerdict;
import veriframe.v1.SegmentEvent;
import veriframe.v1.StreamSummary;
import veriframe.v1.VerdictSegment;
import veriframe.v1.VerifyStreamResponse;

/** What a stream tells, line by line. */
final class Results {
  private Results() {}

  static void show(VerifyStreamResponse message) {
    switch (message.getMessageCase()) {
      case RESULT -> show(message.getResult());
      case EVENT -> show(message.getEvent());
      case SUMMARY -> show(message.getSummary());
      case MESSAGE_NOT_SET -> { } // from a server newer than this client
    }
  }

  /** A line for each frame, however it ended. */
  private static void show(FrameResult result) {
    String ending = switch (result.getOutcomeCase()) {
      case OK -> "ok       " + scores(result);
      case DROPPED -> "dropped  " + Words.word("DROP_REASON_", result.getDropped().getReason());
      case EXPIRED -> "expired  after " + Words.seconds(result.getExpired().getAfter());
      case ERROR -> "error    " + Errors.describe(result.getError());
      case OUTCOME_NOT_SET -> "an outcome that this client does not know";
    };
    String time = Words.seconds(result.getPresentationTime());
    System.out.println(Words.format("%5d  %s  %s", result.getSequence(), time, ending));
  }

  /** Each prompt's contrast in this frame, and its verdict over the frames so far. */
  private static String scores(FrameResult result) {
    Map<String, String> verdicts = result.getVerdictsList().stream()
        .collect(Collectors.toMap(PromptVerdict::getPrompt, Results::verdict, (one, same) -> one));
    return result.getOk().getSimilarity().getScoresList().stream()
        .map(score -> Words.format("%s %+.3f %s", score.getPrompt(), score.getContrast(),
            verdicts.getOrDefault(score.getPrompt(), "")))
        .collect(Collectors.joining(", "));
  }

  private static String verdict(PromptVerdict verdict) {
    return Words.word("VERDICT_", verdict.getVerdict());
  }

  private static void show(SegmentEvent event) {
    System.out.println(Words.format("       %s: %s%s", event.getPrompt(),
        Words.word("SEGMENT_CHANGE_", event.getChange()), span(event.getSegment())));
  }

  private static void show(StreamSummary summary) {
    System.out.println(Words.format("%d frames: %d ok, %d dropped, %d expired, %d errors; end: %s",
        summary.getFrames(), summary.getOk(), summary.getDropped(), summary.getExpired(),
        summary.getErrors(), Words.word("STREAM_END_", summary.getEnd())));
    for (PromptSummary prompt : summary.getVerdicts().getPromptsList()) {
      StringBuilder line = new StringBuilder(prompt.getPrompt())
          .append(": ").append(Words.word("VERDICT_", prompt.getVerdict()));
      prompt.getReasonsList()
          .forEach(reason -> line.append(", ").append(Words.word("VERDICT_REASON_", reason)));
      prompt.getSegmentsList().forEach(segment -> line.append(span(segment)));
      System.out.println(line);
    }
  }

  private static String span(VerdictSegment segment) {
    return Words.format(", %s to %s, best at frame %d", Words.seconds(segment.getStart()),
        Words.seconds(segment.getEnd()), segment.getPeak().getSequence());
  }
}
