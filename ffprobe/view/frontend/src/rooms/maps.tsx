/** Feature maps of an image, and where a layer's goodness comes from; computed from the recorded weights. */

import { useState } from "preact/hooks";
import type { MapsPayload, Maybe, Row, RunPayload } from "../data/api";
import { source, useResource } from "../data/resource";
import { Select } from "../parts/choice";
import { Empty, Waiting } from "../parts/notice";
import { ValueMap } from "../parts/pixels";

const KINDS = [
  { value: "features", text: "feature maps" },
  { value: "gradcam", text: "Grad-CAM of its goodness" },
  { value: "goodness", text: "goodness by position" },
];

export function Maps({ row, run, index, title }: { row: Row; run: RunPayload; index: number; title: string }) {
  const parts = Object.entries(run.images).filter(([part, n]) => n > 0 && part !== "training").map(([part]) => part);
  const [part, setPart] = useState(parts[0] ?? "test");
  const [image, setImage] = useState(0);
  const [kind, setKind] = useState("features");
  const [label, setLabel] = useState("");
  if (!source.live) return null;
  const head = <h3>An image in this layer</h3>;
  if (!parts.length) {
    return <div class="panel">{head}<Empty title="The file has no images.">Train with <code>--set recording.images=200</code> to record some.</Empty></div>;
  }
  if (row.state !== "finished") return <div class="panel">{head}<Empty title="Maps need the trained weights.">They are written when the run ends.</Empty></div>;
  const most = Math.max(0, (run.images[part] ?? 1) - 1);
  return (
    <div class="panel">
      {head}
      <div class="toolbar">
        <Select label="Show" value={kind} options={KINDS} onChange={setKind} />
        {parts.length > 1 && <Select label="Part" value={part} options={parts.map((p) => ({ value: p, text: p }))} onChange={setPart} />}
        <label class="control"><span>Image</span>
          <input type="number" min={0} max={most} value={image} onChange={(e) => setImage(Math.max(0, Math.round(Number(e.currentTarget.value)) || 0))} /></label>
        {<Select label="Label" value={label} onChange={setLabel} options={[{ value: "", text: "none" }, ...run.labels.map((name, i) => ({ value: String(i), text: name }))]} />}
      </div>
      <div class="maps">
        <figure><img class="pixels" src={`/api/runs/${row.id}/images/${part}/${image}.png`} alt={`${part} image ${image}`} width="112" height="112" /><figcaption>image {image}</figcaption></figure>
        <MapSet address={`/api/runs/${row.id}/maps/${part}/${image}?kind=${kind}&layer=${index}${label === "" ? "" : `&label=${label}`}`} what={title} />
      </div>
    </div>
  );
}

export function MapSet({ address, what, size = 112 }: { address: string; what: string; size?: number }) {
  const maps = useResource<MapsPayload>(address);
  if (!maps.data) return <Waiting of={maps} what="the maps" />;
  if (!maps.data.maps.length) return <Empty title="This layer has no maps.">Only layers with positions have some.</Empty>;
  const { width, height } = maps.data;
  const small = maps.data.maps.length > 8 ? Math.round(size * 0.6) : size;
  return (
    <>
      {maps.data.formula && <p class="note wide">{maps.data.formula}</p>}
      {maps.data.maps.slice(0, 64).map((map, i) => (
        <figure key={i}>
          <ValueMap values={map.values.flat() as Maybe[]} width={own(map, "width") ?? width} height={own(map, "height") ?? height} label={`${what}: ${map.name}`} size={small} />
          <figcaption>{map.name}</figcaption>
        </figure>
      ))}
    </>
  );
}

/** Maps of several layers have sizes of their own. */
function own(map: object, side: string): number | null {
  const value = (map as Record<string, unknown>)[side];
  return typeof value === "number" ? value : null;
}
