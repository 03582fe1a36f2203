/** The list of runs: filter, sort, group, and select some to compare. */

import { useMemo, useState } from "preact/hooks";
import type { Row, RunsPayload } from "../data/api";
import { bytes, duration, percent, setting } from "../data/format";
import { address } from "../data/route";
import { Check, Select } from "../parts/choice";
import { DataTable, type Cell, type TableColumn } from "../parts/data_table";
import { Empty } from "../parts/notice";
import { short } from "./sweep";
import { StateBadge } from "../parts/state_badge";

const STATES = ["running", "finished", "interrupted", "damaged", "unreadable"];
const TRUNK = ["rule", "loss", "goodness", "negatives", "scheduler", "evaluator"];

export function Runs({ payload }: { payload: RunsPayload }) {
  const { runs, differing } = payload;
  const [filter, setFilter] = useState("");
  const [state, setState] = useState("");
  const [group, setGroup] = useState("");
  const [details, setDetails] = useState(false);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = useMemo(
    () => runs.filter((row) => (!state || row.state === state) && words.every((word) => haystack(row).includes(word))),
    [runs, filter, state],
  );
  const choose = (ids: string[], on: boolean): void => {
    const next = new Set(chosen);
    for (const id of ids) if (on) next.add(id); else next.delete(id);
    setChosen(next);
  };
  const columns = useMemo(() => runColumns(differing, details, chosen, choose, shown), [differing, details, chosen, shown]);
  const groupOf = useMemo(() => grouping(group, runs), [group, runs]);
  const groups = ["state", "preset", "dataset", ...differing.filter((key) => key !== "dataset")];
  const ids = runs.filter((row) => chosen.has(row.id)).map((row) => row.id);
  const compared = ids.length ? ids : shown.filter((row) => row.state !== "unreadable").map((row) => row.id);
  if (!runs.length) {
    return (
      <Empty title="There are no runs here yet.">
        Train one with <code>ffprobe run -d digits --quick --out run.h5</code>; it appears here when it starts.
      </Empty>
    );
  }
  return (
    <section aria-labelledby="runs-title">
      <div class="room-head">
        <h1 id="runs-title">Runs</h1>
        <span class="counts">{STATES.map((s) => [s, runs.filter((r) => r.state === s).length] as const).filter(([, n]) => n)
          .map(([s, n]) => `${n} ${s}`).join(" · ")}</span>
      </div>
      <div class="toolbar">
        <label class="control grow">
          <span class="hidden">Filter</span>
          <input type="search" placeholder="Filter by name, preset, plugin, setting …" value={filter} onInput={(e) => setFilter(e.currentTarget.value)} />
        </label>
        <Select label="State" value={state} onChange={setState}
          options={[{ value: "", text: "all" }, ...STATES.filter((s) => runs.some((r) => r.state === s)).map((s) => ({ value: s, text: s }))]} />
        <Select label="Group by" value={group} onChange={setGroup}
          options={[{ value: "", text: "nothing" }, { value: "seeds", text: "all but the seed" }, ...groups.map((g) => ({ value: g, text: g }))]} />
        <Check label="Plugins" checked={details} onChange={setDetails} />
        <span class="spring" />
        {ids.length > 0 && <button type="button" class="quiet" onClick={() => setChosen(new Set())}>Clear selection</button>}
        {compared.length > 1 && (
          <a class="button" href={address(["compare", "overview"], { runs: compared.join(",") })}>
            Compare {ids.length ? `${ids.length} selected` : `all ${compared.length}`}
          </a>
        )}
      </div>
      {shown.length ? (
        <DataTable name="runs" caption="Table of runs" columns={columns} rows={shown} rowKey={(row) => row.id} selected={(row) => chosen.has(row.id)}
          groupOf={groupOf} sort={null} />
      ) : (
        <Empty title="No run matches the filter."><button type="button" onClick={() => { setFilter(""); setState(""); }}>Show all runs</button></Empty>
      )}
    </section>
  );
}

function haystack(row: Row): string {
  const values = [...Object.entries(row.settings), ...Object.entries(row.plugins)].map(([key, value]) => `${key}=${setting(value)}`);
  return [row.label, row.path, row.state, row.dataset, row.preset, `seed=${row.seed}`, ...values].join(" ").toLowerCase();
}

function grouping(group: string, runs: Row[]): ((row: Row) => string) | null {
  if (!group) return null;
  if (group === "seeds") {
    const first = new Map<string, Row>();
    for (const row of runs) if (!first.has(row.group)) first.set(row.group, row);
    return (row) => {
      const head = first.get(row.group)!;
      return `${head.label}${runs.filter((r) => r.group === row.group).length > 1 ? " and other seeds" : ""}`;
    };
  }
  if (group === "state" || group === "preset" || group === "dataset") return (row) => `${group}: ${row[group] ?? "none"}`;
  return (row) => `${group}: ${setting(row.settings[group])}`;
}

function runColumns(
  differing: string[], details: boolean, chosen: ReadonlySet<string>, choose: (ids: string[], on: boolean) => void, shown: Row[],
): TableColumn<Row>[] {
  const slots = details ? [...new Set([...TRUNK, ...shown.flatMap((row) => Object.keys(row.plugins))])] : [];
  const plain = differing.filter((key) => !["dataset", "training.epochs"].includes(key) && !slots.includes(key)); // they have columns of their own
  const columns: (TableColumn<Row> | false)[] = [
    {
      name: "select", title: "Select", plain: true, value: () => null,
      show: (row) => (
        <input type="checkbox" aria-label={`Select ${row.label}`} checked={chosen.has(row.id)}
          onChange={(event) => choose([row.id], event.currentTarget.checked)} />
      ),
    },
    { name: "run", title: "Run", value: (row) => row.label, show: (row) => <RunLink row={row} /> },
    { name: "state", title: "State", value: (row) => STATES.indexOf(row.state), show: (row) => <StateBadge row={row} /> },
    {
      name: "accuracy", title: "Accuracy", numeric: true, value: (row) => row.accuracy,
      show: (row) => <span title={row.accuracy_of ?? undefined}>{percent(row.accuracy)}</span>,
    },
    { name: "dataset", title: "Dataset", value: (row) => row.dataset },
    { name: "preset", title: "Preset", value: (row) => row.preset },
    { name: "seed", title: "Seed", numeric: true, value: (row) => row.seed },
    { name: "epochs", title: "Epochs", numeric: true, value: (row) => row.epochs },
    { name: "time", title: "Time", numeric: true, value: (row) => row.wall_time, show: (row) => duration(row.wall_time) },
    { name: "age", title: "Age", numeric: true, value: (row) => row.age_seconds, show: (row) => duration(row.age_seconds) },
    ...slots.map((slot) => ({ name: `plugin-${slot}`, title: slot, value: (row: Row) => row.plugins[slot] ?? null })),
    ...plain.map((key) => ({
      name: `s-${key}`, title: short(key, plain), description: key, numeric: shown.every((r) => r.settings[key] == null || typeof r.settings[key] === "number"),
      value: (row: Row): Cell => (typeof row.settings[key] === "number" ? (row.settings[key] as number) : row.settings[key] == null ? null : setting(row.settings[key])),
    })),
    { name: "size", title: "Size", numeric: true, value: (row) => row.bytes, show: (row) => bytes(row.bytes) },
  ];
  return columns.filter((column): column is TableColumn<Row> => !!column);
}

function RunLink({ row }: { row: Row }) {
  return (
    <span class="run-link">
      <a href={address(["run", row.id])} title={row.path}><bdi>{row.label}</bdi></a>
      {row.reason && <small>{row.reason}</small>}
    </span>
  );
}
