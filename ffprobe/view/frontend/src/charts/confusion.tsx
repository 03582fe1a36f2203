/** A confusion matrix as a table: rows are true labels, columns predicted ones. Arrow keys move between its cells. */

import { useMemo, useRef, useState } from "preact/hooks";
import { useTheme } from "../data/theme";
import { heatColour } from "./colours";

export interface Cell {
  true: number;
  predicted: number;
}

const NUMBERS_UP_TO = 20;

export function Confusion({ labels, truth, predicted, chosen, onChoose }: {
  labels: string[]; truth: number[]; predicted: number[]; chosen: Cell | null; onChoose: (cell: Cell | null) => void;
}) {
  const theme = useTheme();
  const table = useRef<HTMLTableElement>(null);
  const { counts, columns, most, totals } = useMemo(() => {
    const n = Math.max(labels.length, ...truth.map((t) => t + 1));
    const undecided = predicted.some((p) => p < 0);
    const grid = Array.from({ length: n }, () => new Array<number>(n + 1).fill(0));
    truth.forEach((t, i) => {
      const p = predicted[i];
      if (p === undefined || !grid[t]) return;
      grid[t]![p < 0 ? n : p]! += 1;
    });
    const errors = grid.flatMap((row, t) => row.filter((_, p) => p !== t));
    const cols = Array.from({ length: n + Number(undecided) }, (_, i) => (i === n ? -1 : i));
    return { counts: grid, columns: cols, most: Math.max(1, ...errors), totals: grid.map((row) => row.reduce((a, b) => a + b, 0)) };
  }, [labels, truth, predicted]);
  const [focus, setFocus] = useState<[number, number]>([0, 0]);
  const n = counts.length;
  const dense = n > NUMBERS_UP_TO;
  const name = (label: number): string => (label < 0 ? "undecided" : (labels[label] ?? String(label)));
  const key = (event: KeyboardEvent): void => {
    const moves: Record<string, [number, number]> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    const next: [number, number] = [Math.min(n - 1, Math.max(0, focus[0] + move[0])), Math.min(columns.length - 1, Math.max(0, focus[1] + move[1]))];
    setFocus(next);
    table.current?.querySelector<HTMLButtonElement>(`[data-at="${next[0]}-${next[1]}"]`)?.focus();
  };
  return (
    <>
      <div class="table-scroll" role="region" aria-label="Table of true and predicted labels" tabIndex={0}>
        <table class={dense ? "confusion dense" : "confusion"} ref={table} onKeyDown={key}>
          <caption class="hidden">Rows: true labels. Columns: predicted labels. Numbers: images.</caption>
          <thead><tr><th scope="col"><span class="corner">true ↓ as →</span></th>{columns.map((label) => <th key={label} scope="col" title={name(label)}><bdi>{dense ? "" : name(label)}</bdi></th>)}<th scope="col">right</th></tr></thead>
          <tbody>
            {counts.map((row, t) => (
              <tr key={t}>
                <th scope="row"><bdi>{name(t)}</bdi></th>
                {columns.map((p, at) => {
                  const value = row[p < 0 ? n : p]!;
                  const correct = p === t;
                  const on = chosen?.true === t && chosen.predicted === p;
                  const colours = value === 0 ? null : heatColour(correct ? (0.35 * value) / Math.max(1, totals[t]!) : Math.min(1, value / most), theme);
                  return (
                    <td key={p} class={correct ? "diagonal" : ""}>
                      <button type="button" data-at={`${t}-${at}`} tabIndex={focus[0] === t && focus[1] === at ? 0 : -1} aria-pressed={on} style={colours ?? {}}
                        aria-label={`${value} images of ${name(t)} predicted as ${name(p)}`} onFocus={() => setFocus([t, at])}
                        onClick={() => onChoose(on ? null : { true: t, predicted: p })}>
                        {dense ? "" : value === 0 ? "\u00a0" : value}
                      </button>
                    </td>
                  );
                })}
                <td class="num">{totals[t] ? `${Math.round((100 * row[t]!) / totals[t]!)} %` : "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="note">Choose a cell to see its images. Dark cells off the diagonal are frequent errors.</p>
    </>
  );
}
