// Checks the frames of a folder, in the order of their names, against prompts, and shows each result
// as it comes.
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { connect, describe, Retry, type Verification } from "./calls.js";
import { OverloadPolicy, type VerifyStreamRequestSchema } from "./gen/veriframe/v1/stream_pb.js";
import { show } from "./results.js";

// For one stream; one that goes on after a break has it anew.
const DEADLINE_MS = 10 * 60_000;
const PICTURES = [".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"];

const USAGE = `usage: stream [--fps N] [--live] [--resume-after FRAME] FOLDER PROMPT…
  --fps N               frames per second of the video (default 12)
  --live                send at that speed, and rather drop frames than fall behind
  --resume-after FRAME  number of the last frame that has its result`;

type Request = MessageInitShape<typeof VerifyStreamRequestSchema>;

interface Asked {
  fps: number;
  live: boolean;
  frames: string[];
  prompts: string[];
}

class Stream {
  /** Number of the last frame that has its result; -1 where none has. */
  last: number;

  constructor(readonly client: Verification, readonly asked: Asked, last: number) {
    this.last = last;
  }

  /** Streams the frames, and opens the stream again where it broke off before its end. */
  async run(): Promise<void> {
    const retry = new Retry();
    for (;;) {
      const before = this.last;
      try {
        return await this.#once();
      } catch (error) {
        if (this.last > before) retry.progress();
        await retry.wait(error);
        if (this.last >= 0) console.log(`going on after frame ${this.last}`);
      }
    }
  }

  async #once(): Promise<void> {
    const messages = this.client.verifyStream(this.#requests(), { timeoutMs: DEADLINE_MS });
    for await (const { message } of messages) {
      if (message.case === "result") this.last = Number(message.value.sequence);
      show(message);
    }
  }

  // Taken from while results come in, as fast as the server reads. The end of it closes our side.
  async *#requests(): AsyncIterable<Request> {
    const { fps, live, frames, prompts } = this.asked;
    const first = this.last + 1;
    yield {
      message: {
        case: "config",
        value: {
          similarity: { prompts },
          verdicts: {},
          policy: live ? OverloadPolicy.DROP_OLDEST : OverloadPolicy.WAIT,
          ...(this.last >= 0 && { resumeAfter: BigInt(this.last) }),
        },
      },
    };
    const started = Date.now();
    for (const [index, path] of frames.entries()) {
      if (index < first) continue;
      if (live) await sleep(started + ((index - first) * 1000) / fps - Date.now());
      yield {
        message: {
          case: "frame",
          value: {
            sequence: BigInt(index),
            presentationTime: durationFromMs(Math.round((index * 1000) / fps)),
            image: { content: { case: "encoded", value: await readFile(path) } },
          },
        },
      };
    }
  }
}

/** The folder's pictures in the order of their names. */
async function list(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => PICTURES.includes(extname(name).toLowerCase()));
  if (names.length === 0) {
    throw new Error(`${folder} has no frames, files that end with ${PICTURES.join(" ")}`);
  }
  return names.sort().map((name) => join(folder, name));
}

function usage(problem?: string): never {
  console.error(problem ? `${problem}\n${USAGE}` : USAGE);
  process.exit(2);
}

function commandLine() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        fps: { type: "string", default: "12" },
        live: { type: "boolean", default: false },
        "resume-after": { type: "string", default: "" },
      },
    });
  } catch (error) {
    return usage(describe(error));
  }
}

const { values, positionals } = commandLine();
const [folder, ...prompts] = positionals;
const fps = Number(values.fps);
const after = values["resume-after"] === "" ? -1 : Number(values["resume-after"]);
if (folder === undefined || prompts.length === 0) usage();
if (!(fps > 0)) usage("--fps must be a number above 0");
if (!Number.isSafeInteger(after)) usage("--resume-after must be a frame's number");

try {
  const asked = { fps, live: values.live, frames: await list(folder), prompts };
  const stream = new Stream(connect(), asked, after);
  await stream.run().catch((error: unknown) => {
    if (stream.last >= 0) {
      console.error(`to go on after the last result, add --resume-after ${stream.last}`);
    }
    throw error;
  });
} catch (error) {
  console.error(`error: ${describe(error)}`);
  process.exitCode = 1;
}
