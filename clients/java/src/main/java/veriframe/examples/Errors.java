package veriframe.examples;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.Code;
import com.google.rpc.Status;
import io.grpc.StatusException;
import io.grpc.protobuf.StatusProto;
import java.util.Optional;

/** Errors told in full. */
final class Errors {
  private Errors() {}

  /**
   * Tells a status with the fields that must be changed, each on a line of its own, unless the
   * message says no less.
   */
  static String describe(Status status) {
    StringBuilder text = new StringBuilder(summary(status));
    detail(status, BadRequest.class).ifPresent(bad -> {
      for (BadRequest.FieldViolation violation : bad.getFieldViolationsList()) {
        String line = violation.getField() + ": " + violation.getDescription();
        if (!line.equals(status.getMessage())) {
          text.append("\n    ").append(line);
        }
      }
    });
    return text.toString();
  }

  static String summary(Status status) {
    return Code.forNumber(status.getCode()) + ": " + status.getMessage();
  }

  /** What the server said, with its details; or what kept the call from reaching it. */
  static Status status(StatusException error) {
    Status status = StatusProto.fromThrowable(error);
    Throwable cause = error.getCause();
    if (cause == null || cause.getMessage() == null) {
      return status;
    }
    // "io exception" alone would help nobody.
    return status.toBuilder().setMessage(status.getMessage() + ": " + cause.getMessage()).build();
  }

  /** The status's first detail of a kind. */
  static <T extends Message> Optional<T> detail(Status status, Class<T> kind) {
    for (Any detail : status.getDetailsList()) {
      if (detail.is(kind)) {
        try {
          return Optional.of(detail.unpack(kind));
        } catch (InvalidProtocolBufferException damaged) {
          return Optional.empty(); // as good as none: the code and the message remain
        }
      }
    }
    return Optional.empty();
  }
}
