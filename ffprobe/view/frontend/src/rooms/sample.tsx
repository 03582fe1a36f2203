/** One image: its goodness for every layer and label, and where the network changes its mind. */

import { useState } from "preact/hooks";
import { GoodnessTable } from "../charts/goodness_table";
import type { EvaluatorsPayload, Row, RunPayload, SamplePayload } from "../data/api";
import { layerName, number, title } from "../data/format";
import { source, useResource } from "../data/resource";
import { address, setQuery, type Route } from "../data/route";
import { Check, Select } from "../parts/choice";
import { Waiting } from "../parts/notice";
import { Thumbnail } from "../parts/thumbnail";
import { MapSet } from "./maps";

export function Sample({ row, run, route }: { row: Row; run: RunPayload | null; route: Route }) {
  const [part, index] = [route.parts[3] ?? "test", Number(route.parts[4] ?? 0)];
  const epoch = route.query.get("epoch");
  const sample = useResource<SamplePayload>(`/api/runs/${row.id}/samples/${encodeURIComponent(part)}/${index}${epoch ? `?epoch=${encodeURIComponent(epoch)}` : ""}`);
  const [evaluators, setEvaluators] = useState(false);
  const more = useResource<EvaluatorsPayload>(evaluators ? `/api/runs/${row.id}/evaluators/${encodeURIComponent(part)}` : null);
  const data = sample.data;
  if (!data) return <Waiting of={sample} what="the image" />;
  const name = (label: number | undefined): string => (label === undefined || label < 0 ? "undecided" : (data.labels[label] ?? String(label)));
  const pixels = data.image && source.image(data.image);
  const layers = data.layers.map((layer, i) => layerName(layer, i));
  const byLayer = Object.values(data.predicted);
  const final = byLayer[byLayer.length - 1];
  const own = Object.entries(more.data?.evaluators ?? {}).map(([evaluator, all]) => [evaluator, all[index]] as const);
  const to = (i: number): string => address(["run", row.id, "sample", part, i], { epoch });
  return (
    <div class="stack">
      <nav class="crumbs" aria-label="Image">
        <a href={address(["run", row.id, "samples"], { part })}>All {part} images</a>
        <span class="spring" />
        {index > 0 && <a href={to(index - 1)} rel="prev">‹ image {index - 1}</a>}
        {index + 1 < data.count && <a href={to(index + 1)} rel="next">image {index + 1} ›</a>}
      </nav>
      <div class="sample-head">
        {pixels ? <img class="pixels big" src={pixels} alt={`${part} image ${index}`} /> : <span class="no-image big">no pixels recorded</span>}
        <div>
          <h2>{title(part)} image {index}</h2>
          <p class="verdict-line">
            It is <b><bdi>{name(data.true)}</bdi></b>. The last layer takes it for <b class={final === data.true ? "good" : "bad"}><bdi>{name(final)}</bdi></b>{final === data.true ? ", which is right." : "."}
          </p>
          <ol class="mind">
            <li>{layers[0]}: <bdi>{name(byLayer[0])}</bdi></li>
            {data.changes.map((change) => <li key={change.layer}>{layers[change.layer]}: <bdi>{name(change.from)}</bdi> → <b class={change.to === data.true ? "good" : ""}><bdi>{name(change.to)}</bdi></b></li>)}
            {data.changes.length === 0 && <li class="muted">No later layer changes it.</li>}
          </ol>
          {source.live && data.epochs.length > 1 && <Select label="After epoch" value={String(data.epoch)} onChange={(v) => setQuery({ epoch: v })} options={data.epochs.map((e) => ({ value: String(e), text: String(e) }))} />}
        </div>
      </div>
      <section class="panel">
        <h2>Goodness for every layer and label</h2>
        <GoodnessTable goodness={data.goodness} layers={layers} labels={data.labels} truth={data.true} />
      </section>
      <div class="columns">
        <section class="panel column">
          <h2>What each evaluator says</h2>
          {source.live && <Check label="Compute all evaluators" checked={evaluators} onChange={setEvaluators} />}
          {evaluators && !more.data && <Waiting of={more} what="the evaluators" />}
          <ul class="says">
            {[...own, ...Object.entries(data.predicted)].map(([who, label]) => (
              <li key={who} class={label === data.true ? "right" : "wrong"}><span>{title(who)}</span><b><bdi>{name(label)}</bdi></b><span aria-label={label === data.true ? "right" : "wrong"} role="img">{label === data.true ? "✓" : "✗"}</span></li>
            ))}
          </ul>
        </section>
        <Neighbours row={row} data={data} />
      </div>
      {source.live && data.image && row.state === "finished" && run && <WhereFrom row={row} data={data} />}
    </div>
  );
}

function Neighbours({ row, data }: { row: Row; data: SamplePayload }) {
  const possible = !data.neighbours && source.live && !!data.image && row.state === "finished";
  const [asked, setAsked] = useState(false);
  const computed = useResource<{ neighbours: SamplePayload["neighbours"]; layer?: string }>(asked && possible ? `/api/runs/${row.id}/neighbours/${data.part}/${data.index}` : null);
  const list = data.neighbours ?? computed.data?.neighbours;
  return (
    <section class="panel column">
      <h2>Nearest neighbours</h2>
      {list ? (
        <>
          <p class="note">By the angle between the activations of the last recorded layer.</p>
          <ul class="thumbnails">{list.map((one, i) => <li key={i}><Thumbnail id={row.id} image={one} labels={data.labels} note={number(one.distance, 2)} mark={one.true === data.true ? "right" : "wrong"} /></li>)}</ul>
        </>
      ) : asked && possible ? <Waiting of={computed} what="the neighbours" />
        : possible ? <button type="button" onClick={() => setAsked(true)}>Compute the neighbours of this image</button>
        : <p class="note">The activations of this image were not recorded.</p>}
    </section>
  );
}

function WhereFrom({ row, data }: { row: Row; data: SamplePayload }) {
  const [open, setOpen] = useState(false);
  const [kind, setKind] = useState("gradcam");
  const [label, setLabel] = useState(data.true);
  return (
    <section class="panel">
      <h2>Where the goodness comes from</h2>
      {open ? (
        <>
          <div class="toolbar">
            <Select label="Show" value={kind} onChange={setKind} options={[{ value: "gradcam", text: "Grad-CAM of the goodness" }, { value: "goodness", text: "goodness by position" }]} />
            <Select label="Label" value={String(label)} onChange={(v) => setLabel(Number(v))} options={data.labels.map((text, i) => ({ value: String(i), text }))} />
          </div>
          {data.layers.map((layer, i) => (
            <div class="maps-row" key={i}>
              <h3>{layerName(layer, i)}</h3>
              <div class="maps"><MapSet address={`/api/runs/${row.id}/maps/${data.part}/${data.index}?kind=${kind}&layer=${i}&label=${label}`} what={layerName(layer, i)} /></div>
            </div>
          ))}
        </>
      ) : <button type="button" onClick={() => setOpen(true)}>Compute the maps of every layer</button>}
    </section>
  );
}
