package veriframe.examples;

import com.google.protobuf.Duration;
import java.util.List;
import java.util.Locale;

/** Values as people read them. */
final class Words {
  private Words() {}

  static long milliseconds(Duration duration) {
    return duration.getSeconds() * 1000 + duration.getNanos() / 1_000_000;
  }

  static String seconds(Duration duration) {
    return format("%.2f s", duration.getSeconds() + duration.getNanos() / 1e9);
  }

  static String percent(double share) {
    return format("%.1f %%", 100 * share);
  }

  /** Of an enum's value, its name without the enum's. */
  static String word(String prefix, Enum<?> value) {
    String name = value.name();
    name = name.startsWith(prefix) ? name.substring(prefix.length()) : name;
    return name.toLowerCase(Locale.ROOT).replace('_', ' ');
  }

  static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }

  /** Rows in columns, two spaces apart. */
  static String table(List<List<String>> rows) {
    StringBuilder text = new StringBuilder();
    for (List<String> row : rows) {
      StringBuilder line = new StringBuilder();
      for (int column = 0; column < row.size(); column++) {
        int at = column;
        int width = rows.stream().mapToInt(other -> other.get(at).length()).max().orElse(0);
        line.append(row.get(column)).append(" ".repeat(width - row.get(column).length() + 2));
      }
      text.append(line.toString().stripTrailing()).append('\n');
    }
    return text.toString();
  }
}
