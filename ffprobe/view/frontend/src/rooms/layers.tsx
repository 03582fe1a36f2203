/** The network as a column of layers: what each is, what trains it, and how it does. */

import { useMemo } from "preact/hooks";
import type { CurvesPayload, Row, RunPayload } from "../data/api";
import { layerAccuracy } from "../data/meaning";
import { useResource, type Resource } from "../data/resource";
import { address, type Route } from "../data/route";
import { NetworkColumn, type LayerRow } from "../charts/network_column";
import { layerName } from "../data/format";
import { last, layerValues } from "../data/meaning";
import { Empty, Waiting } from "../parts/notice";
import { LayerDetail } from "./layer_detail";

export function Layers({ row, run, route }: { row: Row; run: Resource<RunPayload>; route: Route }) {
  const curves = useResource<CurvesPayload>(`/api/runs/${row.id}/curves`);
  const rows = useMemo(() => layerRows(run.data, curves.data), [run.data, curves.data]);
  if (!run.data) return <Waiting of={run} what="the layers" />;
  if (!rows.length) return <Empty title="This run has no layers yet.">They appear when the first epoch is recorded.</Empty>;
  const asked = Number(route.query.get("layer") ?? 1) - 1;
  const chosen = rows[asked] ? asked : 0;
  const { part } = layerAccuracy(curves.data);
  return (
    <div class="layers">
      <NetworkColumn rows={rows} groups={run.data.groups} chosen={chosen} part={part} link={(i) => address(["run", row.id, "layers"], { layer: i + 1 })} />
      <LayerDetail key={`${row.id}/${chosen}`} row={row} run={run.data} curves={curves.data} index={chosen} title={rows[chosen]!.title} />
    </div>
  );
}

function layerRows(run: RunPayload | null, curves: CurvesPayload | null): LayerRow[] {
  const accuracy = layerAccuracy(curves).values;
  const norms = layerValues(curves?.series.weight_norm);
  return (run?.layers ?? []).map((layer, i) => ({
    ...layer,
    title: layerName(layer.name, i),
    accuracy: accuracy[i] ?? null,
    weightNorm: last(norms[i]),
    gradientNorm: layer.gradient_norm ?? gradient(curves, i),
  }));
}

/** The latest norm of the gradient that a probe recorded. */
function gradient(curves: CurvesPayload | null, layer: number): number | null {
  const probe = curves?.probes?.find((one) => one.by_layer && /grad/i.test(one.name) && /norm/i.test(one.name));
  return probe ? last(layerValues(probe)[layer]) : null;
}
