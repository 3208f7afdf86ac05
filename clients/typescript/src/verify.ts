// Checks a picture against prompts and shows scores and boxes.
import { readFile } from "node:fs/promises";
import { connect, describe, Retry } from "./calls.js";
import type { VerifyResponse } from "./gen/veriframe/v1/verify_pb.js";
import { percent, signed, table } from "./words.js";

// For all tries together.
const DEADLINE_MS = 30_000;

async function verify(path: string, prompts: string[]): Promise<VerifyResponse> {
  const request = {
    image: { content: { case: "encoded" as const, value: await readFile(path) } },
    similarity: { prompts },
    detection: {},
  };
  const client = connect();
  const retry = new Retry(Date.now() + DEADLINE_MS);
  for (;;) {
    try {
      return await client.verify(request, { timeoutMs: Math.max(retry.deadline - Date.now(), 1) });
    } catch (error) {
      await retry.wait(error);
    }
  }
}

function show(answer: VerifyResponse): void {
  const scores = (answer.similarity?.scores ?? []).map((score) => [
    score.prompt,
    signed(score.contrast),
    score.confidence === undefined ? "none" : percent(score.confidence), // none: not calibrated
    score.cosine.toFixed(3),
    score.softmax.toFixed(3),
  ]);
  console.log(table([["prompt", "contrast", "confidence", "cosine", "softmax"], ...scores]));

  const boxes = (answer.detection?.detections ?? []).map(({ label, confidence, box }) => [
    label,
    percent(confidence),
    ...[box?.x1, box?.y1, box?.x2, box?.y2].map((edge) => (edge ?? 0).toFixed(0)),
  ]);
  console.log(`\n${table([["box", "confidence", "x1", "y1", "x2", "y2"], ...boxes])}`);
}

const [path, ...prompts] = process.argv.slice(2);
if (path === undefined || prompts.length === 0) {
  console.error("usage: verify PICTURE PROMPT…");
  process.exit(2);
}
try {
  show(await verify(path, prompts));
} catch (error) {
  console.error(`error: ${describe(error)}`);
  process.exitCode = 1;
}
