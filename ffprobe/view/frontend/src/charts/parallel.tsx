/** Parallel coordinates: an axis for each setting, a line for each run. Dragging along an axis keeps the runs in that range. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { number } from "../data/format";
import { useTheme } from "../data/theme";
import { layerColour } from "./colours";

export interface Axis {
  name: string;
  /** What a reader sees below the pointer, if longer than the name. */
  full?: string;
  values: (string | number | null)[];
}

interface Scaled {
  at: (value: string | number | null) => number | null;
  ticks: { at: number; label: string }[];
}

const [TOP, BOTTOM, HEIGHT] = [34, 16, 300];

function scale(axis: Axis): Scaled {
  const known = axis.values.filter((v) => v !== null);
  const [top, bottom] = [TOP, HEIGHT - BOTTOM];
  if (known.length && known.every((v): v is number => typeof v === "number")) {
    const numbers = known as number[];
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
    const log = low > 0 && high / low > 50; // learning rates and the like
    const f = (v: number): number => (log ? Math.log(v) : v);
    const place = (v: number): number => (high === low ? (top + bottom) / 2 : bottom - ((f(v) - f(low)) / (f(high) - f(low))) * (bottom - top));
    const distinct = [...new Set(numbers)].sort((a, b) => a - b);
    const ends = [low, high];
    const shown = distinct.length <= 6 ? [...ends, ...distinct.slice(1, -1)] : [low, high, log ? Math.sqrt(low * high) : (low + high) / 2];
    const ticks = shown.map((v) => ({ at: place(v), label: number(v, 3) }));
    return { at: (v) => (typeof v === "number" ? place(v) : null), ticks: ticks.filter((tick, i) => ticks.slice(0, i).every((other) => Math.abs(other.at - tick.at) > 12)) };
  }
  const names = [...new Set(known.map(String))].sort();
  const place = (v: string): number => (names.length < 2 ? (top + bottom) / 2 : bottom - (names.indexOf(v) / (names.length - 1)) * (bottom - top));
  return { at: (v) => (v === null ? null : place(String(v))), ticks: names.slice(0, 12).map((v) => ({ at: place(v), label: v.slice(0, 18) })) };
}

export function ParallelCoordinates({ axes, names, ids, onKeep }: {
  axes: Axis[]; names: string[]; ids: string[]; onKeep: (ids: ReadonlySet<string> | null) => void;
}) {
  const theme = useTheme();
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [ranges, setRanges] = useState<Record<string, [number, number]>>({});
  const [over, setOver] = useState<number | null>(null);
  const drag = useRef<{ axis: string; from: number } | null>(null);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.max(axes.length * 104, entry!.contentRect.width)));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, [axes.length]);
  const scales = useMemo(() => axes.map(scale), [axes]);
  const start = 20 + 6.2 * Math.max(4, ...scales[0]!.ticks.map((tick) => tick.label.length), axes[0]!.name.length / 2);
  const x = (i: number): number => start + (i * (width - start - 50)) / Math.max(1, axes.length - 1);
  const result = scales[scales.length - 1];
  const lines = useMemo(() => names.map((_, run) => {
    const points = axes.map((axis, i) => [i, scales[i]!.at(axis.values[run] ?? null)] as const);
    const height = result?.at(axes[axes.length - 1]!.values[run] ?? null) ?? HEIGHT - BOTTOM;
    return { points, rank: Math.round(((HEIGHT - BOTTOM - height) / (HEIGHT - BOTTOM - TOP)) * 10) };
  }), [axes, scales, names]);
  const inside = (run: number): boolean => axes.every((axis, i) => {
    const range = ranges[axis.name];
    const at = lines[run]!.points[i]![1];
    return !range || (at !== null && at >= range[0] && at <= range[1]);
  });
  const put = (next: Record<string, [number, number]>): void => setRanges(next);
  useEffect(() => {
    onKeep(Object.keys(ranges).length ? new Set(ids.filter((_, run) => inside(run))) : null);
  }, [ranges]);
  const yOf = (event: PointerEvent): number => event.clientY - (event.currentTarget as Element).closest("svg")!.getBoundingClientRect().top;
  const kept = names.filter((_, run) => inside(run)).length;
  return (
    <div class="parallel" ref={box}>
      <div class="table-scroll" tabIndex={0} role="region" aria-label="Parallel coordinates of the runs; the table below has the same numbers">
        {width > 0 && (
          <svg width={width} height={HEIGHT + 24} role="img" aria-label={`${names.length} runs over ${axes.map((a) => a.name).join(", ")}`}>
            {lines.map(({ points, rank }, run) => (
              <path key={run} class={inside(run) ? (over === run ? "over" : "") : "out"} stroke={layerColour(rank, 11, theme)} fill="none"
                d={points.filter(([, y]) => y !== null).map(([i, y], k) => `${k ? "L" : "M"}${x(i)} ${y}`).join("")}
                onPointerEnter={() => setOver(run)} onPointerLeave={() => setOver(null)}><title>{names[run]}</title></path>
            ))}
            {axes.map((axis, i) => (
              <g key={axis.name} transform={`translate(${x(i)} 0)`}>
                <text class="axis-name" y="14" text-anchor="middle">{axis.name.length > 16 ? `…${axis.name.slice(-15)}` : axis.name}<title>{axis.full ?? axis.name}</title></text>
                <path class="axis" d={`M0 ${TOP}V${HEIGHT - BOTTOM}`} />
                {scales[i]!.ticks.map((tick) => <text key={tick.label} class="tick" x="-7" y={tick.at + 4} text-anchor="end">{tick.label}</text>)}
                {ranges[axis.name] && <rect class="range" x="-6" width="12" y={ranges[axis.name]![0]} height={ranges[axis.name]![1] - ranges[axis.name]![0]} />}
                <rect class="grip" x="-12" width="24" y={TOP - 8} height={HEIGHT - BOTTOM - TOP + 16}
                  onPointerDown={(event) => { event.currentTarget.setPointerCapture(event.pointerId); drag.current = { axis: axis.name, from: yOf(event) }; }}
                  onPointerMove={(event) => {
                    if (drag.current?.axis !== axis.name) return;
                    const to = yOf(event);
                    const range: [number, number] = [Math.min(drag.current.from, to), Math.max(drag.current.from, to)];
                    if (range[1] - range[0] > 4) put({ ...ranges, [axis.name]: range });
                  }}
                  onPointerUp={(event) => {
                    if (Math.abs(yOf(event) - (drag.current?.from ?? 0)) <= 4) {
                      const { [axis.name]: _, ...rest } = ranges;
                      put(rest);
                    }
                    drag.current = null;
                  }} />
              </g>
            ))}
          </svg>
        )}
      </div>
      <p class="note" role="status">
        {Object.keys(ranges).length ? `${kept} of ${names.length} runs are inside. ` : "Bright lines are more accurate runs. Drag along an axis to keep the runs in that range. "}
        {Object.keys(ranges).length > 0 && <button type="button" class="quiet" onClick={() => put({})}>Show all</button>}
        {over !== null && <b>{names[over]}</b>}
      </p>
    </div>
  );
}
