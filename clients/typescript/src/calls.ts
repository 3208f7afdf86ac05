// What both examples need: the connection, another try, and errors told in full.
import { setTimeout as sleep } from "node:timers/promises";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { BadRequestSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import type { Status } from "./gen/google/rpc/status_pb.js";
import { VerificationService } from "./gen/veriframe/v1/verification_pb.js";
import { milliseconds } from "./words.js";

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 4000;
const MAX_TRIES = 20;

export type Verification = Client<typeof VerificationService>;

/**
 * Prepares a connection to VERIFRAME_ADDRESS: HOST:PORT, or https://HOST:PORT for TLS, which believes
 * Node's authorities and those in NODE_EXTRA_CA_CERTS. It is opened with the first call.
 */
export function connect(): Verification {
  const address = process.env["VERIFRAME_ADDRESS"] || "127.0.0.1:50051";
  const key = process.env["VERIFRAME_API_KEY"];
  const withKey: Interceptor = (next) => (request) => {
    if (key) request.header.set("authorization", `Bearer ${key}`);
    return next(request);
  };
  const transport = createGrpcTransport({
    baseUrl: address.startsWith("https://") ? address : `http://${address}`,
    interceptors: [withKey],
    // A connection that broke without a word is noticed during a call.
    pingIntervalMs: 30_000,
    pingTimeoutMs: 10_000,
    // What the server as installed takes.
    readMaxBytes: 64 * 1024 * 1024,
  });
  return createClient(VerificationService, transport);
}

/** One call's further tries, all before `deadline` (milliseconds since 1970). */
export class Retry {
  #failed = 0;

  constructor(readonly deadline = Infinity) {}

  /**
   * Waits until the call that failed with `error` may be tried again. Throws the error at once where
   * another try would not help or the deadline would come first.
   */
  async wait(error: unknown): Promise<void> {
    this.#failed += 1;
    const delay = this.#delay(error);
    if (delay === undefined || this.#failed === MAX_TRIES || Date.now() + delay > this.deadline) {
      throw error;
    }
    console.error(`${summary(ConnectError.from(error))}; trying again in ${Math.round(delay)} ms`);
    await sleep(delay);
  }

  /** Tells that the last try got somewhere, so that the next failure is a first one. */
  progress(): void {
    this.#failed = 0;
  }

  // The time that the server asks for, or one that doubles where a server is away. A little is added
  // by chance, so that clients that failed together do not come again together.
  #delay(error: unknown): number | undefined {
    if (!(error instanceof ConnectError)) return undefined;
    const told = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
    // RESOURCE_EXHAUSTED without a time to come again is for good: a message over the limit, say.
    const away = error.code === Code.Unavailable || lostConnection(error);
    if (!away && !(error.code === Code.ResourceExhausted && told)) return undefined;
    const delay = told
      ? milliseconds(told)
      : Math.min(FIRST_DELAY_MS * 2 ** (this.#failed - 1), MAX_DELAY_MS);
    return delay * (1 + Math.random() / 4);
  }
}

// Connect reports a connection that broke during a call as ABORTED, with the system's error as its
// cause, or as CANCELED. The server's own ABORTED is a stream that it gave up, and these programs
// cancel nothing.
function lostConnection(error: ConnectError): boolean {
  const cause = error.cause;
  const system = cause instanceof Error && "code" in cause;
  return error.code === Code.Canceled || (error.code === Code.Aborted && system);
}

/**
 * Tells an error with the fields that must be changed, each on a line of its own, unless the message
 * says no less.
 */
export function describe(error: unknown): string {
  if (!(error instanceof ConnectError)) return error instanceof Error ? error.message : String(error);
  return withFields(summary(error), error.rawMessage, error.findDetails(BadRequestSchema));
}

/** The same for a status within a stream. */
export function describeStatus(status: Status): string {
  const details = status.details.map((detail) => anyUnpack(detail, BadRequestSchema));
  const bad = details.filter((detail) => detail !== undefined);
  return withFields(`${Code[status.code]}: ${status.message}`, status.message, bad);
}

function summary(error: ConnectError): string {
  return `${Code[error.code]}: ${error.rawMessage}`;
}

type Violations = { fieldViolations: { field: string; description: string }[] };

function withFields(text: string, message: string, bad: Violations[]): string {
  const lines = bad
    .flatMap((detail) => detail.fieldViolations)
    .map((violation) => `${violation.field}: ${violation.description}`)
    .filter((line) => line !== message);
  return [text, ...lines].join("\n    ");
}
