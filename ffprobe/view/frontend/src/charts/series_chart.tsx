/** The chart of one series of all loaded runs; its lines are made when it is its turn. */

import { useMemo } from "preact/hooks";
import type { Maybe, Row, Series } from "../data/api";
import { layerName, title } from "../data/format";
import type { Theme } from "../data/theme";
import { layerColour, runColour, runDash } from "./colours";
import { aligned, smoothed, union, type Line } from "./line";
import { LineChart } from "./line_chart";
import { useTurn } from "./turn";

const MODEL = "model"; // lines of the whole network, which belong to no layer

export interface Loaded {
  row: Row;
  layers: string[];
  /** each with its own x: a probe may record at other epochs than the trainer */
  series: Record<string, Series & { x: number[] }>;
  number: number;
}

/** What all charts of a room show alike; a new object when something changes. */
export interface Look {
  loaded: Loaded[];
  visible: (line: Line) => boolean;
  by: string;
  colours: string;
  smooth: number;
  log: boolean;
  large: boolean;
  theme: Theme;
}

export function SeriesChart({ name, look }: { name: string; look: Look }) {
  const weight = look.loaded.reduce((n, one) => n + (one.series[name]?.by_layer ? one.layers.length : 1), 0);
  const { granted, box } = useTurn(look, weight);
  const height = look.large ? 380 : 210;
  return (
    <div class="series" ref={box} aria-busy={granted !== look} style={{ minHeight: `${height + 44}px` }}>
      {granted && <Drawn name={name} look={granted} height={height} />}
    </div>
  );
}

function Drawn({ name, look, height }: { name: string; look: Look; height: number }) {
  const { loaded, colours, smooth, theme } = look;
  const { x, lines } = useMemo(() => {
    const all = union(loaded.map((one) => one.series[name]?.x ?? []));
    return { x: all, lines: linesOf(name, loaded, all, colours, smooth, theme) };
  }, [name, loaded, colours, smooth, theme]);
  const series = loaded.find((one) => one.series[name])?.series[name];
  if (!series) return null;
  return (
    <LineChart name={`${loaded.length > 1 ? "runs" : loaded[0]!.row.label}-${name}`} title={title(name)} meaning={series.meaning ?? ""} unit={series.unit ?? ""}
      xLabel={title(look.by)} x={x} lines={lines} visible={look.visible} log={look.log} sync={look.by} height={height} />
  );
}

function linesOf(name: string, loaded: Loaded[], all: number[], colours: string, smooth: number, theme: Theme): Line[] {
  const depth = Math.max(1, ...loaded.map((one) => one.layers.length));
  return loaded.flatMap(({ row, layers, series, number }): Line[] => {
    const one = series[name];
    if (!one) return [];
    const many = loaded.length > 1;
    const make = (values: Maybe[], layer: number | null): Line => {
      const own = layer === null ? null : layerName(layers[layer], layer);
      return {
        id: `${row.id}/${layer ?? MODEL}`,
        label: many ? (own ? `${row.label} · ${own}` : row.label) : (own ?? title(name)),
        run: row.label,
        layer: own,
        colour: colours === "run" || layer === null ? runColour(number, theme) : layerColour(layer, depth, theme),
        dash: runDash(number),
        values: aligned(one.x, all, smoothed(values, smooth)),
      };
    };
    return one.by_layer ? (one.values as Maybe[][]).map(make) : [make(one.values as Maybe[], null)];
  });
}
