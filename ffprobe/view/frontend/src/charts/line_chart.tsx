/** Lines over epochs: values under the pointer or by arrow keys, zoom by dragging, files of what is shown. */

import type uPlot from "uplot";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { saveCsv, savePng, saveText } from "../data/download";
import { number } from "../data/format";
import { useTheme } from "../data/theme";
import { Menu } from "../parts/menu";
import type { Line } from "./line";
import { lineSvg } from "./line_svg";
import { makePlot, plotData, type PlotChoice } from "./line_plot";

export interface LineChartProps {
  name: string;
  title: string;
  meaning: string;
  unit: string;
  xLabel: string;
  x: number[];
  lines: Line[];
  visible: (line: Line) => boolean;
  log: boolean;
  sync: string;
  height?: number;
  /** Draw each point. */
  marks?: boolean;
}

interface Reading {
  index: number;
  line: Line | null;
}

const SHOWN = 12;

export function LineChart(props: LineChartProps) {
  const { x, lines, visible, log, title, unit, xLabel, height = 220 } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const theme = useTheme();
  const [width, setWidth] = useState(0);
  const [reading, setReading] = useState<Reading | null>(null);
  const [zoomed, setZoomed] = useState(false);
  const identity = useMemo(() => lines.map((line) => `${line.id}${line.colour}${line.dash}`).join("|"), [lines]);
  const choice: PlotChoice = { x, lines, visible, log, width, height, sync: props.sync, marks: !!props.marks };
  const latest = useRef(choice);
  latest.current = choice;

  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    if (!width) return;
    const read = (u: uPlot): void => {
      const { idx, left } = u.cursor;
      if (idx === null || idx === undefined || left === undefined || left < 0) return setReading(null);
      setReading({ index: idx, line: nearest(u, idx, latest.current) });
    };
    const scaled = (u: uPlot, key: string): void => {
      if (key !== "x") return;
      const all = latest.current.x;
      const { min, max } = u.scales.x!;
      setZoomed((min ?? 0) > all[0]! || (max ?? 0) < all[all.length - 1]!);
    };
    plot.current = makePlot(box.current!, latest.current, { setCursor: [read], setScale: [scaled] });
    return () => {
      plot.current?.destroy();
      plot.current = null;
    };
  }, [identity, log, theme, width > 0, props.sync]);

  useLayoutEffect(() => plot.current?.setSize({ width, height }), [width, height]);
  const drawn = useRef<{ x: number[]; lines: Line[] } | null>(null);
  useLayoutEffect(() => {
    const u = plot.current;
    if (!u) return;
    if (drawn.current && (drawn.current.lines !== lines || drawn.current.x !== x)) u.setData(plotData(latest.current), !zoomed);
    drawn.current = { x, lines };
  }, [lines, x]);
  useLayoutEffect(() => {
    const u = plot.current;
    if (!u) return;
    u.batch(() => {
      lines.forEach((line, i) => {
        if (u.series[i + 1] && u.series[i + 1]!.show !== visible(line)) u.setSeries(i + 1, { show: visible(line) });
      });
    });
  }, [visible, lines]);

  const reset = (): void => {
    const u = plot.current;
    if (u && x.length) u.setScale("x", { min: x[0]!, max: x[x.length - 1]! });
  };
  const zoom = (factor: number): void => {
    const u = plot.current;
    if (!u) return;
    const { min, max } = u.scales.x!;
    const middle = reading ? x[reading.index]! : (min! + max!) / 2;
    const half = Math.max(1, ((max! - min!) * factor) / 2);
    u.setScale("x", { min: Math.max(x[0]!, middle - half), max: Math.min(x[x.length - 1]!, middle + half) });
  };
  const key = (event: KeyboardEvent): void => {
    const u = plot.current;
    if (!u || !x.length) return;
    const shown = lines.filter(visible);
    const at = reading ?? { index: x.length - 1, line: shown[shown.length - 1] ?? null };
    const place = shown.indexOf(at.line!);
    const step = event.shiftKey ? 10 : 1;
    let { index, line } = at;
    if (event.key === "ArrowLeft") index = reading ? Math.max(0, index - step) : index;
    else if (event.key === "ArrowRight") index = Math.min(x.length - 1, index + step);
    else if (event.key === "Home") index = 0;
    else if (event.key === "End") index = x.length - 1;
    else if (event.key === "ArrowUp") line = shown[Math.min(shown.length - 1, place + 1)] ?? null;
    else if (event.key === "ArrowDown") line = shown[Math.max(0, place - 1)] ?? null;
    else if (event.key === "+" || event.key === "=") return zoom(0.5);
    else if (event.key === "-") return zoom(2);
    else if (event.key === "0" || event.key === "Escape") return reset();
    else return;
    event.preventDefault();
    const value = line?.values[index];
    u.setCursor({ left: u.valToPos(x[index]!, "x"), top: value === null || value === undefined ? 10 : u.valToPos(value, "y") });
    setReading({ index, line });
  };

  const svg = (): string => {
    const { min: x0, max: x1 } = plot.current!.scales.x!;
    const { min: y0, max: y1 } = plot.current!.scales.y!;
    const yLabel = unit || title;
    const ranges = { xRange: [x0!, x1!] as [number, number], yRange: [y0 ?? 0, y1 ?? 1] as [number, number] };
    return lineSvg({ title, xLabel, yLabel, x, lines: lines.filter(visible), log, ...ranges });
  };
  const files = [
    { name: "SVG", run: () => saveText(`${props.name}.svg`, svg(), "image/svg+xml") },
    { name: "PNG", run: () => void savePng(props.name, svg()) },
    { name: "CSV", run: () => saveCsv(props.name, [xLabel.toLowerCase(), "run", "layer", props.name.split("-").pop()!], longRows(x, lines.filter(visible))) },
  ];
  const value = reading?.line?.values[reading.index];
  const spoken = reading ? `${xLabel} ${x[reading.index]}, ${reading.line?.label ?? "no line"}: ${number(value)} ${unit}` : "";
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title" title={props.meaning}>{title}</span>
        {unit && <span class="unit">{unit}</span>}
        <span class="spring" />
        {zoomed && <button type="button" class="quiet" onClick={reset}>Reset zoom</button>}
        <Menu label={`Download ${title}`} text="↓" items={files} />
      </figcaption>
      <div
        class="plot" ref={box} tabIndex={0} role="slider" aria-label={`${title}. Arrow keys read values, plus and minus zoom.`}
        aria-valuemin={x[0] ?? 0} aria-valuemax={x[x.length - 1] ?? 0} aria-valuenow={x[reading?.index ?? x.length - 1] ?? 0}
        aria-valuetext={spoken || "no value read"} onKeyDown={key} style={{ minHeight: `${height}px` }}
      >
        {reading && plot.current && isOwn(box.current) && <Tip u={plot.current} reading={reading} choice={choice} xLabel={xLabel} />}
      </div>
    </figure>
  );
}

/** Only the chart that the reader points at, or has the focus, shows the values; the others show the line of the cursor. */
function isOwn(box: HTMLElement | null): boolean {
  return !!box && (box.matches(":hover") || document.activeElement === box);
}

function nearest(u: uPlot, index: number, choice: PlotChoice): Line | null {
  const top = u.cursor.top ?? 0;
  let [best, distance] = [null as Line | null, Infinity];
  choice.lines.forEach((line, i) => {
    const value = u.data[i + 1]?.[index];
    if (value === null || value === undefined || !choice.visible(line)) return;
    const away = Math.abs(u.valToPos(value, "y") - top);
    if (away < distance) [best, distance] = [line, away];
  });
  return best;
}

function Tip({ u, reading, choice, xLabel }: { u: uPlot; reading: Reading; choice: PlotChoice; xLabel: string }) {
  const { index, line } = reading;
  const rows = choice.lines
    .filter((other) => choice.visible(other) && typeof other.values[index] === "number")
    .sort((a, b) => b.values[index]! - a.values[index]!);
  const at = Math.max(0, Math.min(rows.indexOf(line!) - SHOWN / 2, rows.length - SHOWN));
  const shown = rows.slice(at, at + SHOWN);
  const left = u.valToPos(choice.x[index]!, "x") + u.over.offsetLeft;
  const right = left > choice.width / 2;
  return (
    <div class="tip" aria-hidden="true" style={right ? { right: `${choice.width - left + 12}px` } : { left: `${left + 12}px` }}>
      <div class="tip-head">{xLabel} {choice.x[index]}</div>
      {shown.map((row) => (
        <div class={row === line ? "tip-row on" : "tip-row"} key={row.id}>
          <i style={{ background: row.colour }} />
          <span>{row.label}</span>
          <b>{number(row.values[index])}</b>
        </div>
      ))}
      {rows.length > shown.length && <div class="tip-more">and {rows.length - shown.length} more</div>}
    </div>
  );
}

function* longRows(x: number[], lines: Line[]): Generator<unknown[]> {
  for (const line of lines) for (let i = 0; i < x.length; i++) yield [x[i], line.run, line.layer, line.values[i]];
}
