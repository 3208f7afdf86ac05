package veriframe.examples;

import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import veriframe.v1.Frame;
import veriframe.v1.Image;

/** A folder's pictures as the frames of a video, in the order of their names. */
record Clip(List<Path> frames, double fps) {
  private static final List<String> PICTURES =
      List.of(".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp");

  static Clip of(Path folder, double fps) throws IOException {
    try (var entries = Files.list(folder)) {
      List<Path> frames = entries.filter(Clip::isPicture).sorted().toList();
      if (frames.isEmpty()) {
        throw new IOException(folder + " has no frames, files that end with "
            + String.join(" ", PICTURES));
      }
      return new Clip(frames, fps);
    }
  }

  private static boolean isPicture(Path path) {
    String name = path.getFileName().toString().toLowerCase(Locale.ROOT);
    return PICTURES.stream().anyMatch(name::endsWith);
  }

  Frame frame(int sequence) throws IOException {
    byte[] picture = Files.readAllBytes(frames.get(sequence));
    long nanos = nanos(sequence);
    return Frame.newBuilder()
        .setSequence(sequence)
        .setPresentationTime(Duration.newBuilder()
            .setSeconds(nanos / 1_000_000_000)
            .setNanos((int) (nanos % 1_000_000_000)))
        .setImage(Image.newBuilder().setEncoded(ByteString.copyFrom(picture)))
        .build();
  }

  /** Time of a frame from the start of the video. */
  long nanos(int sequence) {
    return Math.round(sequence / fps * 1e9);
  }
}
