/** Layers from input to output, with a bracket for each update group: its dot is at the layer that has the loss. */

import { useEffect, useMemo, useState } from "preact/hooks";
import type { Group, Layer, Maybe } from "../data/api";
import { count, MISSING, number, percent } from "../data/format";
import { useTheme } from "../data/theme";
import { layerColour } from "./colours";

export interface LayerRow extends Layer {
  title: string;
  accuracy: Maybe;
  weightNorm: Maybe;
  gradientNorm: Maybe;
}

const BEAT = 1100;
const still = window.matchMedia("(prefers-reduced-motion: reduce)");

/** The first lane in which a group does not touch the one above it. */
function lanes(groups: Group[]): number[] {
  const ends: number[] = [];
  return groups.map((group) => {
    const [first, end] = [Math.min(...group.trains), Math.max(...group.trains)];
    let lane = ends.findIndex((taken) => taken < first);
    if (lane < 0) lane = ends.length;
    ends[lane] = end;
    return lane;
  });
}

export function NetworkColumn({ rows, groups, chosen, part, link }: {
  rows: LayerRow[]; groups: Group[]; chosen: number; part: string; link: (index: number) => string;
}) {
  const theme = useTheme();
  const [active, setActive] = useState(0);
  const [playing, setPlaying] = useState(!still.matches && groups.length > 1);
  const lane = useMemo(() => lanes(groups), [groups]);
  const width = Math.max(0, ...lane) + (groups.length ? 1 : 0);
  useEffect(() => {
    if (!playing || groups.length < 2) return;
    const timer = window.setInterval(() => setActive((now) => (now + 1) % groups.length), BEAT);
    return () => window.clearInterval(timer);
  }, [playing, groups.length]);
  const group = groups[active];
  return (
    <section class="network" aria-label="The network">
      {groups.length > 0 && (
        <div class="updates">
          <span>{group?.text}</span>
          {groups.length > 1 && (
            <span class="updates-buttons">
              <button type="button" class="quiet" aria-label="Previous update" onClick={() => { setPlaying(false); setActive((active + groups.length - 1) % groups.length); }}>‹</button>
              <button type="button" class="quiet" aria-pressed={playing} onClick={() => setPlaying(!playing)}>{playing ? "Pause" : "Play"}</button>
              <button type="button" class="quiet" aria-label="Next update" onClick={() => { setPlaying(false); setActive((active + 1) % groups.length); }}>›</button>
            </span>
          )}
        </div>
      )}
      <ol class="network-rows" style={{ gridTemplateColumns: `${width ? `repeat(${width}, 16px) ` : ""}minmax(0, 1fr)` }}>
        {rows.map((row, i) => (
          <li key={row.index} style={{ gridRow: i + 1, gridColumn: width + 1 }}>
            <a
              class={group?.trains.includes(row.index) && groups.length > 1 ? "layer trained" : "layer"} href={link(i)} aria-current={i === chosen ? "true" : undefined}
              style={{ borderLeftColor: layerColour(i, rows.length, theme) }}
            >
              <span class="layer-name"><bdi>{row.title}</bdi>{row.kind && <small>{row.kind}</small>}</span>
              <span class="layer-shape">{row.shape?.join(" × ") ?? MISSING}</span>
              <span class="layer-bar" title={`${part} accuracy of this layer alone`}>
                <span class="bar"><i style={{ width: `${Math.max(0, Math.min(100, row.accuracy ?? 0))}%` }} /></span>
                <b>{percent(row.accuracy)}</b>
              </span>
              <span class="layer-facts">
                <span title="trained parameters">{count(row.parameters)} params</span>
                {row.multiply_adds !== null && <span title="multiply-adds for one image">{count(row.multiply_adds)} mul-adds</span>}
                {row.weightNorm !== null && <span title="l2 norm of the weight">‖w‖ {number(row.weightNorm, 3)}</span>}
                {row.gradientNorm !== null && <span title="latest norm of the gradient">‖g‖ {number(row.gradientNorm, 3)}</span>}
                {row.dead && <span class={row.dead.dead > row.dead.of / 2 ? "bad" : ""} title="units that are 0 for every recorded image">{row.dead.dead}/{row.dead.of} dead</span>}
              </span>
            </a>
          </li>
        ))}
        {groups.map((one, i) => (
          <li
            key={`g${one.index}`} aria-hidden="true" class={i === active && groups.length > 1 ? "bracket on" : "bracket"} title={one.text}
            style={{ gridColumn: width - lane[i]!, gridRow: `${Math.min(...one.trains) + 1} / ${Math.max(...one.trains) + 2}` }}
          >
            {one.loss_layers.length > 0 && <i />}
          </li>
        ))}
      </ol>
      {groups.length > 0 && <p class="note">A bracket is one update: the loss at its dot trains the layers beside it.</p>}
    </section>
  );
}
