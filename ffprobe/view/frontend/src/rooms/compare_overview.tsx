/** Several runs: what differs, how accurate each layer is, and what was found. */

import { useMemo } from "preact/hooks";
import { runColour } from "../charts/colours";
import type { CurvesPayload, Row, RunPayload } from "../data/api";
import { duration, percent, setting } from "../data/format";
import { layerAccuracy } from "../data/meaning";
import { useResources } from "../data/resource";
import { address } from "../data/route";
import { useTheme } from "../data/theme";
import { DataTable, type Cell, type TableColumn } from "../parts/data_table";
import { Waiting } from "../parts/notice";
import { StateBadge } from "../parts/state_badge";
import { short } from "./sweep";
import { AccuracyByLayer } from "./accuracy_by_layer";

const OVERVIEWS = 6; // findings of more runs than that are not fetched at once

export function CompareOverview({ runs, differing, main }: { runs: Row[]; differing: string[]; main: string[] }) {
  const theme = useTheme();
  const found = useResources<CurvesPayload>(runs.map((row) => `/api/runs/${row.id}/curves`));
  const overviews = useResources<RunPayload>(runs.slice(0, OVERVIEWS).map((row) => `/api/runs/${row.id}`));
  const curves = found.map((one) => one.data);
  const keys = differing.filter((key) => new Set(runs.map((row) => setting(row.settings[key]))).size > 1);
  const columns = useMemo((): TableColumn<Row>[] => {
    const best = (row: Row): Cell => {
      const values = layerAccuracy(curves[runs.indexOf(row)] ?? null).values.filter((v): v is number => v !== null);
      return values.length ? values.indexOf(Math.max(...values)) + 1 : null;
    };
    return [
      {
        name: "run", title: "Run", value: (row) => row.label,
        show: (row) => <span class="run-link"><a href={address(["run", row.id])}><i class="dot" style={{ background: runColour(runs.indexOf(row), theme) }} /><bdi>{row.label}</bdi></a></span>,
      },
      { name: "state", title: "State", value: (row) => row.state, show: (row) => <StateBadge row={row} /> },
      { name: "accuracy", title: "Accuracy", numeric: true, value: (row) => row.accuracy, show: (row) => <span title={row.accuracy_of ?? undefined}>{percent(row.accuracy)}</span> },
      { name: "best", title: "Best layer", description: "the layer whose goodness alone is most accurate", numeric: true, value: best },
      { name: "seed", title: "Seed", numeric: true, value: (row) => row.seed },
      { name: "time", title: "Time", numeric: true, value: (row) => row.wall_time, show: (row) => duration(row.wall_time) },
      ...keys.map((key): TableColumn<Row> => ({
        name: key, title: short(key, keys), description: key, numeric: runs.every((row) => row.settings[key] == null || typeof row.settings[key] === "number"),
        value: (row) => (row.settings[key] == null ? null : typeof row.settings[key] === "number" ? (row.settings[key] as number) : setting(row.settings[key])),
      })),
    ];
  }, [runs.map((r) => `${r.id}${r.revision}`).join(), ...curves, theme]);
  const findings = overviews.flatMap((one, i) => (one.data?.findings ?? []).map((finding) => ({ run: runs[i]!, ...finding })));
  return (
    <div class="stack">
      <DataTable name="comparison" caption="The compared runs" columns={columns} rows={runs} rowKey={(row) => row.id} />
      <div class="columns">
        <section class="panel column">
          <h2>Accuracy of each layer alone</h2>
          {curves.some(Boolean) ? <AccuracyByLayer runs={runs} curves={curves} /> : <Waiting of={found[0]!} what="the curves" />}
        </section>
        <section class="panel column narrow">
          <h2>Findings</h2>
          {main.length > 0 && <ol class="main-findings">{main.map((text, i) => <li key={i}>{text}</li>)}</ol>}
          {findings.length === 0 && main.length === 0 && <p class="finding ok"><span aria-hidden="true">✓</span> Nothing looks broken{runs.length > OVERVIEWS ? ` in the first ${OVERVIEWS} runs` : ""}.</p>}
          <ul class="findings">
            {(main.length ? [] : findings.slice(0, 6)).map((finding, i) => (
              <li class={`finding ${finding.level}`} key={i}><span aria-hidden="true">!</span><span><a href={address(["run", finding.run.id])}><bdi>{finding.run.label}</bdi></a>: {finding.text}</span></li>
            ))}
          </ul>
        </section>
      </div>
    </div>
  );
}
