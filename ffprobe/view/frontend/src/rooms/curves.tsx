/** Curves of one or several runs: all layers, all metrics. */

import { useMemo, useState } from "preact/hooks";
import { layerColour, runColour } from "../charts/colours";
import type { Line } from "../charts/line";
import { SeriesChart, type Loaded, type Look } from "../charts/series_chart";
import type { CurvesPayload, Row } from "../data/api";
import { layerName, title } from "../data/format";
import { DETAILS, ordered } from "../data/meaning";
import { useResources } from "../data/resource";
import { useTheme } from "../data/theme";
import { Check, Range, Select } from "../parts/choice";
import { LineToggles } from "../parts/line_toggles";
import { Empty, Waiting } from "../parts/notice";

const MANY = 60;

export function Curves({ runs }: { runs: Row[] }) {
  const theme = useTheme();
  const found = useResources<CurvesPayload>(runs.map((row) => `/api/runs/${row.id}/curves`));
  const [by, setBy] = useState("epoch");
  const [log, setLog] = useState(false);
  const [smooth, setSmooth] = useState(0);
  const [colours, setColours] = useState(runs.length > 1 ? "run" : "layer");
  const [offRuns, setOffRuns] = useState<ReadonlySet<string>>(new Set());
  const [chosenLayers, setOffLayers] = useState<ReadonlySet<string> | null>(null);
  const [offCharts, setOffCharts] = useState<ReadonlySet<string>>(DETAILS);
  const [large, setLarge] = useState(false);
  const payloads = found.map((one) => one.data);
  const steps = payloads.some((payload) => payload?.steps || payload?.probes?.some((probe) => probe.x_name === "step"));
  const x = by === "step" && steps ? "step" : ("epoch" as const);
  const loaded = useMemo(
    () => runs.flatMap((row, i): Loaded[] => {
      const data = payloads[i];
      return data ? [{ row, layers: data.layers, series: seriesBy(data, x), number: i }] : [];
    }),
    [...payloads, x, runs.map((r) => r.label).join()],
  );
  const names = useMemo(() => ordered(loaded.flatMap((one) => Object.keys(one.series))), [loaded]);
  const deepest = loaded.reduce<string[]>((a, one) => (one.layers.length > a.length ? one.layers : a), []);
  const layers = deepest.map((name, i) => ({ id: String(i), label: layerName(name, i), colour: colours === "layer" ? layerColour(i, deepest.length, theme) : null }));
  const few = runs.length > 1 && runs.length * deepest.length > MANY;
  const offLayers = chosenLayers ?? new Set(few ? layers.slice(0, -1).map((layer) => layer.id) : []);
  const hidden = [...offLayers].sort().join();
  const visible = useMemo(
    () => (line: Line) => !offRuns.has(line.run) && (line.layer === null || !offLayers.has(line.id.split("/")[1]!)),
    [offRuns, hidden],
  );
  const look = useMemo(
    (): Look => ({ loaded, visible, by: x, colours, smooth, log, large, theme }),
    [loaded, visible, x, colours, smooth, log, large, theme],
  );
  const shown = names.filter((name) => !offCharts.has(name));
  if (!loaded.length) {
    const failed = found.find((one) => one.problem) ?? found[0];
    return failed && !failed.data ? <Waiting of={failed} what="the curves" /> : <Empty title="No steps were recorded.">Choose epochs.</Empty>;
  }
  if (!loaded.some((one) => Object.values(one.series).some((series) => series.x.length))) return <Empty title="No epoch is complete yet.">The curves appear when the first epoch is recorded.</Empty>;
  return (
    <div class="with-side">
      <div class="side" role="group" aria-label="What the charts show">
        {runs.length > 1 && (
          <LineToggles title="Runs" off={new Set(runs.filter((r) => offRuns.has(r.label)).map((r) => r.label))} onChange={setOffRuns}
            items={runs.map((row, i) => ({ id: row.label, label: row.label, colour: colours === "run" ? runColour(i, theme) : null }))} />
        )}
        {layers.length > 0 && <LineToggles title="Layers" items={layers} off={offLayers} onChange={setOffLayers} />}
        <LineToggles title="Charts" off={offCharts} onChange={setOffCharts} items={names.map((name) => ({ id: name, label: title(name), colour: null }))} />
      </div>
      <div class="content">
        <div class="toolbar">
          {steps && <Select label="By" value={x} onChange={setBy} options={[{ value: "epoch", text: "epoch" }, { value: "step", text: "step" }]} />}
          {runs.length > 1 && <Select label="Colour" value={colours} onChange={setColours} options={[{ value: "run", text: "by run" }, { value: "layer", text: "by layer" }]} />}
          <Range label="Smoothing" min={0} max={0.98} step={0.02} value={smooth} shown={smooth ? smooth.toFixed(2) : "off"} onChange={setSmooth} />
          <Check label="Log scale" checked={log} onChange={setLog} />
          <Check label="Large charts" checked={large} onChange={setLarge} />
          <span class="spring" />
          <span class="hint">Drag to zoom · double-click to reset</span>
        </div>
        {few && !chosenLayers && <p class="note">These are the last layers of {runs.length} runs. Show more layers with the buttons under “Layers”.</p>}
        {shown.length === 0 && <Empty title="All charts are hidden.">Show some with the buttons under “Charts”.</Empty>}
        <div class={large ? "charts large" : "charts"}>
          {shown.map((name) => <SeriesChart key={name} name={name} look={look} />)}
        </div>
      </div>
    </div>
  );
}

function seriesBy(data: CurvesPayload, by: "step" | "epoch"): Loaded["series"] {
  const own = by === "step" ? data.steps : { step: data.epoch, series: data.series };
  const series: Loaded["series"] = {};
  for (const [name, one] of Object.entries(own?.series ?? {})) series[name] = { ...one, x: own!.step };
  for (const probe of data.probes ?? []) if (probe.x_name === by) series[probe.name] = probe;
  return series;
}
