package veriframe.examples;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/** What the command line of Stream says. */
record StreamArguments(
    double fps, boolean live, int resumeAfter, String folder, List<String> prompts) {
  static final String USAGE = """
      usage: Stream [--fps N] [--live] [--resume-after FRAME] FOLDER PROMPT…
        --fps N               frames per second of the video (default 12)
        --live                send at that speed, and rather drop frames than fall behind
        --resume-after FRAME  number of the last frame that has its result""";

  /** IllegalArgumentException says what is wrong. */
  static StreamArguments parse(List<String> arguments) {
    double fps = 12;
    boolean live = false;
    int resumeAfter = -1;
    List<String> positional = new ArrayList<>();
    Iterator<String> rest = arguments.iterator();
    while (rest.hasNext()) {
      String argument = rest.next();
      switch (argument) {
        case "--live" -> live = true;
        case "--fps" -> fps = number(argument, rest);
        case "--resume-after" -> resumeAfter = (int) number(argument, rest);
        default -> {
          if (argument.startsWith("--")) {
            throw new IllegalArgumentException("unknown option " + argument);
          }
          positional.add(argument);
        }
      }
    }
    if (positional.size() < 2 || !(fps > 0)) {
      throw new IllegalArgumentException("a folder, a prompt and an --fps above 0 are needed");
    }
    List<String> prompts = positional.subList(1, positional.size());
    return new StreamArguments(fps, live, resumeAfter, positional.get(0), prompts);
  }

  private static double number(String option, Iterator<String> rest) {
    String value = rest.hasNext() ? rest.next() : "";
    try {
      return Double.parseDouble(value);
    } catch (NumberFormatException none) {
      throw new IllegalArgumentException(option + " needs a number, not \"" + value + "\"");
    }
  }
}
