package veriframe.examples;

import com.google.protobuf.ByteString;
import io.grpc.Deadline;
import io.grpc.ManagedChannel;
import io.grpc.StatusException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import veriframe.v1.BoundingBox;
import veriframe.v1.Detection;
import veriframe.v1.DetectionQuery;
import veriframe.v1.Image;
import veriframe.v1.Score;
import veriframe.v1.SimilarityQuery;
import veriframe.v1.VerificationServiceGrpc;
import veriframe.v1.VerifyRequest;
import veriframe.v1.VerifyResponse;

/** Checks a picture against prompts and shows scores and boxes. */
public final class Verify {
  /** For all tries together. */
  private static final int DEADLINE_SECONDS = 30;

  private Verify() {}

  public static void main(String[] arguments) throws InterruptedException {
    if (arguments.length < 2) {
      System.err.println("usage: Verify PICTURE PROMPT…");
      System.exit(2);
    }
    List<String> prompts = Arrays.asList(arguments).subList(1, arguments.length);
    try {
      show(verify(Path.of(arguments[0]), prompts));
    } catch (StatusException error) {
      System.err.println("error: " + Errors.describe(Errors.status(error)));
      System.exit(1);
    } catch (IOException error) {
      System.err.println("error: " + error);
      System.exit(1);
    }
  }

  private static VerifyResponse verify(Path picture, List<String> prompts)
      throws IOException, StatusException, InterruptedException {
    VerifyRequest request = VerifyRequest.newBuilder()
        .setImage(Image.newBuilder().setEncoded(ByteString.copyFrom(Files.readAllBytes(picture))))
        .setSimilarity(SimilarityQuery.newBuilder().addAllPrompts(prompts))
        .setDetection(DetectionQuery.getDefaultInstance())
        .build();
    Deadline deadline = Deadline.after(DEADLINE_SECONDS, TimeUnit.SECONDS);
    ManagedChannel channel = Connection.open();
    try {
      var stub = VerificationServiceGrpc.newBlockingV2Stub(channel).withDeadline(deadline);
      Retry retry = new Retry();
      while (true) {
        try {
          return stub.verify(request);
        } catch (StatusException error) {
          retry.await(error, deadline);
        }
      }
    } finally {
      channel.shutdownNow();
    }
  }

  private static void show(VerifyResponse answer) {
    List<List<String>> scores = new ArrayList<>();
    scores.add(List.of("prompt", "contrast", "confidence", "cosine", "softmax"));
    for (Score score : answer.getSimilarity().getScoresList()) {
      scores.add(List.of(
          score.getPrompt(),
          Words.format("%+.3f", score.getContrast()),
          // None: the model is not calibrated.
          score.hasConfidence() ? Words.percent(score.getConfidence()) : "none",
          Words.format("%.3f", score.getCosine()),
          Words.format("%.3f", score.getSoftmax())));
    }
    System.out.println(Words.table(scores));

    List<List<String>> boxes = new ArrayList<>();
    boxes.add(List.of("box", "confidence", "x1", "y1", "x2", "y2"));
    for (Detection found : answer.getDetection().getDetectionsList()) {
      BoundingBox box = found.getBox();
      boxes.add(List.of(
          found.getLabel(),
          Words.percent(found.getConfidence()),
          edge(box.getX1()), edge(box.getY1()), edge(box.getX2()), edge(box.getY2())));
    }
    System.out.print(Words.table(boxes));
  }

  private static String edge(float pixels) {
    return Words.format("%.0f", pixels);
  }
}
