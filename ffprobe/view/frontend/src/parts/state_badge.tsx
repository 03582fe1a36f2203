import type { Row, State } from "../data/api";

const MARKS: Record<State, string> = { running: "●", finished: "✓", interrupted: "❙❙", damaged: "!", unreadable: "×" };

/** The state of a run, by sign and word, so that its colour is not needed. */
export function StateBadge({ row }: { row: Row }) {
  const progress = row.state === "running" && row.planned ? ` ${row.epochs}/${row.planned}` : "";
  return (
    <span class={`state ${row.state}`} title={row.reason || undefined}>
      <span aria-hidden="true">{MARKS[row.state] ?? "?"}</span> {row.state}{progress}
    </span>
  );
}
