// Values as people read them.
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";

export function milliseconds(duration: Duration | undefined): number {
  return duration ? durationMs(duration) : 0;
}

export function seconds(duration: Duration | undefined): string {
  return `${(milliseconds(duration) / 1000).toFixed(2)} s`;
}

/** Of a name such as CLIENT_CLOSED, an enum's value. */
export function word(name: string | undefined): string {
  return (name ?? "unknown").toLowerCase().replaceAll("_", " ");
}

export function signed(value: number): string {
  return (value < 0 ? "" : "+") + value.toFixed(3);
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Rows in columns, two spaces apart. */
export function table(rows: string[][]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  }
  const line = (row: string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return rows.map((row) => line(row).trimEnd()).join("\n");
}
