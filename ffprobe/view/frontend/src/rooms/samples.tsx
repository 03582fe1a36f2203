/** What each layer and evaluator takes the recorded images for. */

import { useMemo, useState } from "preact/hooks";
import { Confusion, type Cell } from "../charts/confusion";
import type { EvaluatorsPayload, Row, RunPayload, SamplesPayload } from "../data/api";
import { fixed, title } from "../data/format";
import { source, useResource, type Resource } from "../data/resource";
import { setQuery, type Route } from "../data/route";
import { Check, Range, Select } from "../parts/choice";
import { Empty, Waiting } from "../parts/notice";
import { Thumbnail } from "../parts/thumbnail";

const PAGE = 60;

export function Samples({ row, run, route }: { row: Row; run: Resource<RunPayload>; route: Route }) {
  const part = route.query.get("part") ?? "";
  const epoch = route.query.get("epoch") ?? "";
  const query = new URLSearchParams({ ...(part && { part }), ...(epoch && { epoch }) }).toString();
  const samples = useResource<SamplesPayload>(`/api/runs/${row.id}/samples${query ? `?${query}` : ""}`);
  const data = samples.data;
  const [evaluators, setEvaluators] = useState(false);
  const more = useResource<EvaluatorsPayload>(evaluators && data ? `/api/runs/${row.id}/evaluators/${data.part}` : null);
  const predictions = useMemo(() => ({ ...data?.predicted, ...more.data?.evaluators }), [data, more.data]);
  const names = Object.keys(predictions);
  const by = route.query.get("by") ?? "";
  const chosen = names.includes(by) ? by : (data ? `layer ${data.layers[data.layers.length - 1]}` : "");
  if (!data) {
    if (samples.problem) return <Empty title={samples.problem.error}>{samples.problem.hint || "Images are evaluated at the epochs that the run records."}</Empty>;
    return <Waiting of={samples} what="the images" />;
  }
  const labels = data.labels.length ? data.labels : (run.data?.labels ?? []);
  const predicted = predictions[chosen] ?? [];
  const layers = Object.keys(data.predicted);
  const right = predicted.reduce((n, label, i) => n + Number(label === data.true[i]), 0);
  const parts = ["test", "validation"];
  return (
    <div class="stack">
      <div class="toolbar">
        {source.live && <Select label="Images" value={data.part} onChange={(v) => setQuery({ part: v, epoch: null, cell: null })} options={parts.map((p) => ({ value: p, text: p }))} />}
        {source.live && data.epochs.length > 1 && <Select label="Epoch" value={String(data.epoch)} onChange={(v) => setQuery({ epoch: v })} options={data.epochs.map((e) => ({ value: String(e), text: String(e) }))} />}
        <Select label="Predicted by" value={chosen} onChange={(v) => setQuery({ by: v })} options={names.map((n) => ({ value: n, text: title(n) }))} />
        {layers.length > 1 && layers.includes(chosen) && (
          <Range label="Layer" min={0} max={layers.length - 1} step={1} value={layers.indexOf(chosen)} shown={chosen.replace("layer ", "")} onChange={(v) => setQuery({ by: layers[v]! })} />
        )}
        {source.live && <Check label="Evaluators" checked={evaluators} onChange={setEvaluators} />}
        {evaluators && !more.data && <Waiting of={more} what="the evaluators" />}
      </div>
      <p class="verdict-line" role="status">
        <b>{title(chosen)}</b> is right for {right} of {data.count} {data.part} images ({fixed((100 * right) / Math.max(1, data.count), 2)} %) after epoch {data.epoch}.
      </p>
      {more.data && Object.keys(more.data.skipped ?? {}).length > 0 && (
        <p class="note">Left out: {Object.entries(more.data.skipped).map(([name, why]) => `${name} (${why})`).join("; ")}</p>
      )}
      <Cells row={row} data={data} labels={labels} predicted={predicted} cell={route.query.get("cell")} />
    </div>
  );
}

function Cells({ row, data, labels, predicted, cell }: { row: Row; data: SamplesPayload; labels: string[]; predicted: number[]; cell: string | null }) {
  const [limit, setLimit] = useState(PAGE);
  const match = /^(\d+)-(-?\d+)$/.exec(cell ?? "");
  const chosen: Cell | null = match ? { true: Number(match[1]), predicted: Number(match[2]) } : null;
  const images = useMemo(() => new Set(data.images), [data]);
  const list = useMemo(() => data.true.flatMap((label, i) => {
    const inside = chosen ? label === chosen.true && predicted[i] === chosen.predicted : predicted[i] !== label;
    return inside ? [i] : [];
  }).sort((a, b) => Number(images.has(b)) - Number(images.has(a)) || a - b), [data, predicted, cell]);
  const name = (label: number): string => (label < 0 ? "undecided" : (labels[label] ?? String(label)));
  return (
    <div class="samples">
      <section class="panel" aria-labelledby="confusion-title">
        <h2 id="confusion-title">Confusion matrix</h2>
        <Confusion labels={labels} truth={data.true} predicted={predicted} chosen={chosen}
          onChoose={(next) => { setLimit(PAGE); setQuery({ cell: next ? `${next.true}-${next.predicted}` : null }); }} />
      </section>
      <section class="panel" aria-labelledby="images-title">
        <h2 id="images-title">
          {chosen ? <>{list.length} images of <bdi>{name(chosen.true)}</bdi> {chosen.true === chosen.predicted ? "recognized" : <>taken for <bdi>{name(chosen.predicted)}</bdi></>}</> : `All ${list.length} errors`}
        </h2>
        {chosen && <button type="button" class="quiet" onClick={() => setQuery({ cell: null })}>Show all errors</button>}
        {!images.size && <p class="note">The file has no images of this part, only their numbers. <code>recording.images</code> records some.</p>}
        {list.length === 0 && <Empty title={chosen ? "No image is in this cell." : "There are no errors."} />}
        <ul class="thumbnails">
          {list.slice(0, limit).map((i) => (
            <li key={i}>
              <Thumbnail id={row.id} labels={labels} note={predicted[i] === data.true[i] ? "" : `as ${name(predicted[i]!)}`} mark={predicted[i] === data.true[i] ? "right" : "wrong"}
                image={{ part: data.part, sample: i, true: data.true[i]!, image: images.has(i) ? `/api/runs/${row.id}/images/${data.part}/${i}.png` : null }} />
            </li>
          ))}
        </ul>
        {list.length > limit && <button type="button" onClick={() => setLimit(limit + 4 * PAGE)}>Show more of {list.length}</button>}
      </section>
    </div>
  );
}
