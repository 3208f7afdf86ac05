package veriframe.examples;

import com.google.protobuf.Duration;
import com.google.rpc.Code;
import com.google.rpc.RetryInfo;
import com.google.rpc.Status;
import io.grpc.Deadline;
import io.grpc.StatusException;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** One call's further tries. */
final class Retry {
  private static final long FIRST_DELAY_MS = 250;
  private static final long MAX_DELAY_MS = 4000;
  private static final int MAX_TRIES = 20;

  private int failed;

  /**
   * Waits until the call that failed may be tried again. Throws its error at once where another try
   * would not help or the deadline would come first.
   */
  void await(StatusException error, Deadline deadline) throws StatusException, InterruptedException {
    failed++;
    Status status = Errors.status(error);
    Optional<Long> delay = delayMs(status);
    if (delay.isEmpty()
        || failed == MAX_TRIES
        || deadline.timeRemaining(TimeUnit.MILLISECONDS) < delay.get()) {
      throw error;
    }
    System.err.printf("%s; trying again in %d ms%n", Errors.summary(status), delay.get());
    Thread.sleep(delay.get());
  }

  /** Tells that the last try got somewhere, so that the next failure is a first one. */
  void progress() {
    failed = 0;
  }

  /**
   * The time that the server asks for, or one that doubles where a server is away. A little is added
   * by chance, so that clients that failed together do not come again together.
   */
  private Optional<Long> delayMs(Status status) {
    Optional<Duration> told = Errors.detail(status, RetryInfo.class).map(RetryInfo::getRetryDelay);
    boolean away = status.getCode() == Code.UNAVAILABLE_VALUE;
    // RESOURCE_EXHAUSTED without a time to come again is for good: a message over the limit, say.
    boolean full = status.getCode() == Code.RESOURCE_EXHAUSTED_VALUE && told.isPresent();
    if (!away && !full) {
      return Optional.empty();
    }
    long delay = told.map(Words::milliseconds)
        .orElse(Math.min(FIRST_DELAY_MS << (failed - 1), MAX_DELAY_MS));
    return Optional.of(delay + ThreadLocalRandom.current().nextLong(delay / 4 + 1));
  }
}
