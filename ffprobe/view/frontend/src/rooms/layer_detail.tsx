/** One layer: its weights, its filters, what excites its units, and its maps of an image. */

import { useMemo, useState } from "preact/hooks";
import { Histogram } from "../charts/bars";
import type { CurvesPayload, LayerPayload, Row, RunPayload } from "../data/api";
import { count, fixed, number } from "../data/format";
import { useResource } from "../data/resource";
import { FilterGrid } from "../parts/pixels";
import { Empty, Waiting } from "../parts/notice";
import { Thumbnail } from "../parts/thumbnail";
import { Maps } from "./maps";

interface Props {
  row: Row;
  run: RunPayload;
  curves: CurvesPayload | null;
  index: number;
  title: string;
}

export function LayerDetail({ row, run, index, title }: Props) {
  const layer = useResource<LayerPayload>(`/api/runs/${row.id}/layers/${index}`);
  const facts = run.layers[index];
  const updates = run.groups.filter((group) => group.trains.includes(facts?.index ?? index));
  return (
    <section class="layer-detail" aria-labelledby="layer-title">
      <h2 id="layer-title"><bdi>{title}</bdi></h2>
      {updates.length > 0 && <ul class="plain">{updates.map((group) => <li key={group.index}>{group.text}</li>)}</ul>}
      {layer.data ? <Weights data={layer.data} title={title} running={row.state === "running"} /> : <Waiting of={layer} what="the weights" />}
      {layer.data && <Units row={row} data={layer.data} labels={run.labels} />}
      <Maps row={row} run={run} index={index} title={title} />
    </section>
  );
}

function Weights({ data, title, running }: { data: LayerPayload; title: string; running: boolean }) {
  const { histogram, filters, dead_units: dead } = data;
  return (
    <>
      <div class="panel">
        <h3>Weights</h3>
        {histogram ? (
          <>
            <Histogram edges={histogram.edges} counts={histogram.counts} label={`Weights of ${title}`} />
            <p class="note">
              {data.weight_shape && `${data.weight_shape.join(" × ")} · `}
              {histogram.mean !== undefined && `mean ${number(histogram.mean, 3)} · deviation ${number(histogram.std, 3)}`}
              {!!histogram.not_finite && <b class="bad"> · {count(histogram.not_finite)} not finite</b>}
              {dead && ` · ${dead.dead} of ${dead.of} units are 0 for every recorded image (${fixed((100 * dead.dead) / Math.max(1, dead.of), 1)} %)`}
            </p>
          </>
        ) : (
          <Empty title="The file has no weights of this layer.">{running ? "They are written when the run ends." : "Runs store them unless recording.weights is off."}</Empty>
        )}
      </div>
      {filters && (
        <div class="panel">
          <h3>Filters</h3>
          <FilterGrid {...filters} />
          <p class="note">
            {filters.filters !== undefined && filters.filters * (filters.inputs ?? 1) > filters.count ? `The first ${filters.count} of ${filters.filters * (filters.inputs ?? 1)}. ` : ""}
            Gray is zero{filters.largest ? `, white is ${number(filters.largest, 3)}` : ""}.
          </p>
        </div>
      )}
    </>
  );
}

function Units({ row, data, labels }: { row: Row; data: LayerPayload; labels: string[] }) {
  const [unit, setUnit] = useState(0);
  const alive = useMemo(() => data.units.filter((one) => one.strongest.length), [data]);
  if (!data.units.length) {
    return <div class="panel"><h3>Strongest images</h3><Empty title="No activations were recorded for this layer.">Train with the activations probe to see what excites its units.</Empty></div>;
  }
  const shown = data.units.find((one) => one.unit === unit) ?? data.units[0]!;
  return (
    <div class="panel">
      <h3>Strongest images of a unit</h3>
      <div class="toolbar">
        <label class="control"><span>Unit</span>
          <select value={shown.unit} onChange={(e) => setUnit(Number(e.currentTarget.value))}>
            {data.units.map((one) => <option key={one.unit} value={one.unit}>{one.unit + 1}{one.strongest.length ? "" : " (dead)"}</option>)}
          </select>
        </label>
        <button type="button" class="quiet" aria-label="Previous unit" onClick={() => setUnit(Math.max(0, shown.unit - 1))}>‹</button>
        <button type="button" class="quiet" aria-label="Next unit" onClick={() => setUnit(Math.min(data.units.length - 1, shown.unit + 1))}>›</button>
        <span class="hint">{alive.length} of {data.units.length} units are active for some image</span>
      </div>
      {shown.strongest.length ? (
        <ul class="thumbnails">
          {shown.strongest.map((one, i) => <li key={i}><Thumbnail id={row.id} image={one} labels={labels} note={number(one.activation, 3)} /></li>)}
        </ul>
      ) : <Empty title="This unit is 0 for every recorded image." />}
    </div>
  );
}
