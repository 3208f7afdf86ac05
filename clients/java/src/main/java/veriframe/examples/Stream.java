package veriframe.examples;

import io.grpc.Deadline;
import io.grpc.ManagedChannel;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import veriframe.v1.OverloadPolicy;
import veriframe.v1.SimilarityQuery;
import veriframe.v1.StreamConfig;
import veriframe.v1.VerdictQuery;
import veriframe.v1.VerificationServiceGrpc;
import veriframe.v1.VerifyStreamRequest;
import veriframe.v1.VerifyStreamResponse;

/** Checks a folder's frames against prompts, and shows each result as it comes. */
public final class Stream {
  /** For one stream; one that goes on after a break has it anew. */
  private static final int DEADLINE_MINUTES = 10;

  private final StreamArguments asked;
  private final Clip clip;
  /** Number of the last frame that has its result; -1 where none has. */
  private int last;

  private Stream(StreamArguments asked) throws IOException {
    this.asked = asked;
    this.clip = Clip.of(Path.of(asked.folder()), asked.fps());
    this.last = asked.resumeAfter();
  }

  public static void main(String[] arguments) throws InterruptedException {
    StreamArguments asked = null;
    try {
      asked = StreamArguments.parse(List.of(arguments));
    } catch (IllegalArgumentException problem) {
      System.err.println(problem.getMessage() + "\n" + StreamArguments.USAGE);
      System.exit(2);
    }
    try {
      new Stream(asked).run();
    } catch (StatusException error) {
      System.err.println("error: " + Errors.describe(Errors.status(error)));
      System.exit(1);
    } catch (IOException error) {
      System.err.println("error: " + error);
      System.exit(1);
    }
  }

  /** Streams the frames, and opens the stream again where it broke off before its end. */
  private void run() throws IOException, StatusException, InterruptedException {
    ManagedChannel channel = Connection.open();
    Retry retry = new Retry();
    try {
      while (true) {
        int before = last;
        Deadline deadline = Deadline.after(DEADLINE_MINUTES, TimeUnit.MINUTES);
        try {
          once(VerificationServiceGrpc.newBlockingV2Stub(channel).withDeadline(deadline));
          return;
        } catch (StatusException error) {
          if (last > before) {
            retry.progress();
          }
          retry.await(error, deadline);
          if (last >= 0) {
            System.out.println("going on after frame " + last);
          }
        }
      }
    } catch (StatusException error) {
      if (last >= 0) {
        System.err.println("to go on after the last result, add --resume-after " + last);
      }
      throw error;
    } finally {
      channel.shutdownNow();
    }
  }

  private void once(VerificationServiceGrpc.VerificationServiceBlockingV2Stub stub)
      throws IOException, StatusException, InterruptedException {
    BlockingClientCall<VerifyStreamRequest, VerifyStreamResponse> call = stub.verifyStream();
    int after = last;
    // Frames go out beside the results that come in: a client that sends all first and reads then
    // would wait for ever, as the server reads no further while nobody takes its results.
    CompletableFuture<Void> sender = CompletableFuture.runAsync(() -> send(call, after));
    try {
      VerifyStreamResponse message;
      while ((message = call.read()) != null) {
        if (message.hasResult()) {
          last = (int) message.getResult().getSequence();
        }
        Results.show(message);
      }
    } catch (StatusException error) {
      if (sender.isCompletedExceptionally()) {
        rethrow(sender, error);
      }
      throw error;
    }
  }

  /** A frame's file that cannot be read ends the call; its error says more than CANCELLED. */
  private static void rethrow(CompletableFuture<Void> sender, StatusException error)
      throws IOException {
    try {
      sender.join();
    } catch (CompletionException failed) {
      if (failed.getCause() instanceof UnreadableFrame unreadable) {
        throw unreadable.reason;
      }
      error.addSuppressed(failed.getCause());
    }
  }

  /** Sends the configuration, the frames after number `after`, and the end. */
  private void send(BlockingClientCall<VerifyStreamRequest, VerifyStreamResponse> call, int after) {
    try {
      // False or an error: the server has ended the stream; why it did comes with the results.
      boolean open = call.write(VerifyStreamRequest.newBuilder().setConfig(config(after)).build());
      long started = System.nanoTime();
      for (int next = after + 1; open && next < clip.frames().size(); next++) {
        if (asked.live()) {
          long due = started + clip.nanos(next - after - 1);
          TimeUnit.NANOSECONDS.sleep(due - System.nanoTime());
        }
        open = call.write(VerifyStreamRequest.newBuilder().setFrame(clip.frame(next)).build());
      }
      if (open) {
        call.halfClose();
      }
    } catch (IOException error) {
      call.cancel("a frame cannot be read", error);
      throw new UnreadableFrame(error);
    } catch (StatusException ended) {
      // The reader is told the same.
    } catch (InterruptedException stopped) {
      Thread.currentThread().interrupt();
    }
  }

  private StreamConfig config(int after) {
    StreamConfig.Builder config = StreamConfig.newBuilder()
        .setSimilarity(SimilarityQuery.newBuilder().addAllPrompts(asked.prompts()))
        .setVerdicts(VerdictQuery.getDefaultInstance())
        .setPolicy(asked.live()
            ? OverloadPolicy.OVERLOAD_POLICY_DROP_OLDEST
            : OverloadPolicy.OVERLOAD_POLICY_WAIT);
    if (after >= 0) {
      config.setResumeAfter(after);
    }
    return config.build();
  }

  private static final class UnreadableFrame extends RuntimeException {
    final IOException reason;

    UnreadableFrame(IOException reason) {
      super(reason);
      this.reason = reason;
    }
  }
}
