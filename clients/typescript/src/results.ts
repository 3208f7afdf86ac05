// What a stream tells, line by line.
import { describeStatus } from "./calls.js";
import {
  DropReason,
  type FrameResult,
  StreamEnd,
  type StreamSummary,
  type VerifyStreamResponse,
} from "./gen/veriframe/v1/stream_pb.js";
import {
  type PromptVerdict,
  SegmentChange,
  type SegmentEvent,
  Verdict,
  VerdictReason,
  type VerdictSegment,
} from "./gen/veriframe/v1/verdict_pb.js";
import type { VerifyResponse } from "./gen/veriframe/v1/verify_pb.js";
import { seconds, signed, word } from "./words.js";

export function show(message: VerifyStreamResponse["message"]): void {
  switch (message.case) {
    case "result":
      return showResult(message.value);
    case "event":
      return showEvent(message.value);
    case "summary":
      return showSummary(message.value);
  }
}

/** A line for each frame, however it ended. */
function showResult(result: FrameResult): void {
  const head = `${String(result.sequence).padStart(5)}  ${seconds(result.presentationTime)} `;
  console.log(head, ending(result));
}

function ending({ outcome, verdicts }: FrameResult): string {
  switch (outcome.case) {
    case "ok":
      return `ok       ${scores(outcome.value, verdicts)}`;
    case "dropped":
      return `dropped  ${word(DropReason[outcome.value.reason])}`;
    case "expired":
      return `expired  after ${seconds(outcome.value.after)}`;
    case "error":
      return `error    ${describeStatus(outcome.value)}`;
    case undefined:
      return "an outcome that this client does not know";
  }
}

/** Each prompt's contrast in this frame, and its verdict over the frames so far. */
function scores(answer: VerifyResponse, verdicts: PromptVerdict[]): string {
  const verdict = new Map(verdicts.map((v) => [v.prompt, word(Verdict[v.verdict])]));
  return (answer.similarity?.scores ?? [])
    .map(({ prompt, contrast }) => `${prompt} ${signed(contrast)} ${verdict.get(prompt) ?? ""}`)
    .join(", ");
}

function showEvent({ prompt, change, segment }: SegmentEvent): void {
  console.log(`       ${prompt}: ${word(SegmentChange[change])}${span(segment)}`);
}

function showSummary(summary: StreamSummary): void {
  const { frames, ok, dropped, expired, errors, end } = summary;
  console.log(
    `${frames} frames: ${ok} ok, ${dropped} dropped, ${expired} expired, ${errors} errors; ` +
      `end: ${word(StreamEnd[end])}`,
  );
  for (const { prompt, verdict, reasons, segments } of summary.verdicts?.prompts ?? []) {
    const why = reasons.map((reason) => `, ${word(VerdictReason[reason])}`);
    console.log(`${prompt}: ${word(Verdict[verdict])}${why.join("")}${segments.map(span).join("")}`);
  }
}

function span(segment: VerdictSegment | undefined): string {
  if (segment === undefined) return "";
  const best = segment.peak?.sequence;
  return `, ${seconds(segment.start)} to ${seconds(segment.end)}, best at frame ${best}`;
}
