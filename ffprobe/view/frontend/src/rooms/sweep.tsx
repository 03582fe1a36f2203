/** Runs of a sweep: each setting as an axis, and a table with the seeds folded into mean and deviation. */

import { useMemo, useState } from "preact/hooks";
import { ParallelCoordinates, type Axis } from "../charts/parallel";
import type { Row } from "../data/api";
import { fixed, MISSING, percent, setting } from "../data/format";
import { address } from "../data/route";
import { DataTable, type Cell, type TableColumn } from "../parts/data_table";
import { Empty } from "../parts/notice";

interface Fold {
  rows: Row[];
  mean: number | null;
  deviation: number | null;
}

export function Sweep({ runs, differing }: { runs: Row[]; differing: string[] }) {
  const [kept, setKept] = useState<ReadonlySet<string> | null>(null);
  const keys = useMemo(() => {
    const own = differing.filter((key) => new Set(runs.map((row) => setting(row.settings[key]))).size > 1);
    return ["preset", "dataset"].filter((key) => !own.includes(key) && new Set(runs.map((row) => value(row, key))).size > 1).concat(own);
  }, [runs, differing]);
  const folds = useMemo(() => {
    const groups = new Map<string, Row[]>();
    for (const row of runs) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
    return [...groups.values()].map(fold);
  }, [runs]);
  const axes = useMemo(
    (): Axis[] => [
      ...keys.slice(0, 8).map((key) => ({ name: short(key, keys), full: key, values: runs.map((row) => value(row, key)) })),
      { name: "time (s)", values: runs.map((row) => row.wall_time) },
      { name: "accuracy (%)", values: runs.map((row) => row.accuracy) },
    ],
    [runs, keys],
  );
  const columns = useMemo((): TableColumn<Fold>[] => [
    {
      name: "runs", title: "Runs", value: (f) => f.rows[0]!.label,
      show: (f) => <a href={f.rows.length > 1 ? address(["compare"], { runs: f.rows.map((r) => r.id).join(",") }) : address(["run", f.rows[0]!.id])}>
        <bdi>{f.rows[0]!.label}</bdi>{f.rows.length > 1 ? ` and ${f.rows.length - 1} more` : ""}</a>,
    },
    { name: "seeds", title: "Seeds", numeric: true, value: (f) => f.rows.length },
    { name: "mean", title: "Mean accuracy", numeric: true, value: (f) => f.mean, show: (f) => percent(f.mean) },
    {
      name: "deviation", title: "± deviation", description: "standard deviation over seeds, with n − 1", numeric: true,
      value: (f) => f.deviation, show: (f) => (f.deviation === null ? MISSING : fixed(f.deviation, 2)),
    },
    { name: "best", title: "Best", numeric: true, value: (f) => extreme(f, Math.max), show: (f) => percent(extreme(f, Math.max)) },
    { name: "worst", title: "Worst", numeric: true, value: (f) => extreme(f, Math.min), show: (f) => percent(extreme(f, Math.min)) },
    ...keys.map((key): TableColumn<Fold> => ({ name: key, title: short(key, keys), description: key, numeric: typeof value(f0(folds), key) === "number", value: (f) => value(f.rows[0]!, key) })),
  ], [keys, folds]);
  if (runs.length < 2) return <Empty title="A sweep needs at least two runs.">Select more in <a href={address(["runs"])}>the list</a>.</Empty>;
  const shown = kept ? folds.filter((f) => f.rows.some((row) => kept.has(row.id))) : folds;
  return (
    <div class="stack">
      <section class="panel">
        <h2>Each line is a run</h2>
        <ParallelCoordinates axes={axes} names={runs.map((row) => row.label)} ids={runs.map((row) => row.id)} onKeep={setKept} />
      </section>
      <section>
        <h2>Seeds folded into their mean</h2>
        <DataTable name="sweep" caption="Groups of runs that differ in the seed only" columns={columns} rows={shown} rowKey={(f) => f.rows[0]!.id}
          sort={{ column: "mean", down: true }} />
      </section>
    </div>
  );
}

/** The last part of a key, where that is enough to tell it from the others. */
export function short(key: string, keys: string[]): string {
  const own = key.split(".").pop()!;
  return keys.filter((other) => other.split(".").pop() === own).length > 1 ? key : own.replaceAll("_", " ");
}

const f0 = (folds: Fold[]): Row => folds[0]!.rows[0]!;

function value(row: Row, key: string): string | number | null {
  if (key === "preset" || (key === "dataset" && !(key in row.settings))) return row[key];
  const own = row.settings[key];
  return typeof own === "number" ? own : own === null || own === undefined ? null : setting(own);
}

function fold(rows: Row[]): Fold {
  const known = rows.map((row) => row.accuracy).filter((a): a is number => a !== null);
  if (!known.length) return { rows, mean: null, deviation: null };
  const mean = known.reduce((a, b) => a + b, 0) / known.length;
  const squares = known.reduce((a, b) => a + (b - mean) ** 2, 0);
  return { rows, mean, deviation: known.length > 1 ? Math.sqrt(squares / (known.length - 1)) : null };
}

function extreme(f: Fold, pick: (...values: number[]) => number): Cell & (number | null) {
  const known = f.rows.map((row) => row.accuracy).filter((a): a is number => a !== null);
  return known.length ? pick(...known) : null;
}
