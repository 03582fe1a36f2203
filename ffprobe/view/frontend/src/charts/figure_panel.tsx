/** One of the axes of a figure: its marks, and the values nearest to the pointer. */

import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import type { FigureAxes } from "../data/api";
import { number } from "../data/format";
import { useTheme } from "../data/theme";
import { list, MarkShape } from "./figure_marks";
import { makeFrame, type Frame } from "./figure_scale";
import { css } from "./line_plot";

interface Near {
  left: number;
  top: number;
  label: string;
  x: string;
  y: string;
  value?: string;
}

export function FigurePanel({ axes, ratio, off, name }: { axes: FigureAxes; ratio: number; off: ReadonlySet<string>; name: string }) {
  const box = useRef<HTMLDivElement>(null);
  const theme = useTheme();
  const clip = `clip${useId()}`;
  const [width, setWidth] = useState(0);
  const [near, setNear] = useState<Near | null>(null);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  const shape = axes.marks.some((mark) => mark.kind === "heat") ? "heat" : "lines";
  const height = Math.round(Math.min(460, Math.max(190, width * ratio)));
  const frame = useMemo(() => makeFrame(axes, width, height, shape), [axes, width, height, shape]);
  const [ink, muted, rule] = useMemo(() => [css("--ink"), css("--muted"), css("--rule")], [theme]);
  const move = (event: PointerEvent): void => {
    const area = box.current!.getBoundingClientRect();
    setNear(nearest(axes, frame, event.clientX - area.left, event.clientY - area.top, off));
  };
  const base = frame.height - frame.bottom;
  const about = `${axes.title || name}. ${axes.ylabel} by ${axes.xlabel}. The table below has the numbers.`;
  return (
    <div class="figure-panel">
      {axes.title && <div class="chart-title">{axes.title}</div>}
      <div class="plot" ref={box} onPointerMove={move} onPointerLeave={() => setNear(null)}>
        {width > 0 && (
          <svg xmlns="http://www.w3.org/2000/svg" width={width} height={height} role="img" aria-label={about} font-family="system-ui, sans-serif" font-size="11">
            {shape === "lines" && frame.yticks.map((tick, i) => <path key={i} d={`M${frame.left} ${frame.y(tick.at)}H${width - frame.right}`} stroke={rule} />)}
            {frame.yticks.map((tick, i) => <text key={i} x={frame.left - 6} y={frame.y(tick.at) + 4} text-anchor="end" fill={muted}>{clipped(tick.label, 26)}</text>)}
            {frame.xticks.map((tick, i) => (frame.slanted
              ? <text key={i} transform={`translate(${frame.x(tick.at) + 3} ${base + 13}) rotate(-40)`} text-anchor="end" fill={muted}>{clipped(tick.label, 24)}</text>
              : <text key={i} x={frame.x(tick.at)} y={base + 15} text-anchor="middle" fill={muted}>{tick.label}</text>))}
            <path d={`M${frame.left} ${base}H${width - frame.right}`} stroke={muted} />
            {axes.xlabel && <text x={(frame.left + width - frame.right) / 2} y={height - 3} text-anchor="middle" fill={ink}>{axes.xlabel}</text>}
            {axes.ylabel && <text transform={`translate(11 ${(frame.top + base) / 2}) rotate(-90)`} text-anchor="middle" fill={ink}>{axes.ylabel}</text>}
            <clipPath id={clip}><rect x={frame.left - 5} y={frame.top - 5} width={Math.max(0, width - frame.left - frame.right + 10)} height={Math.max(0, base - frame.top + 9)} /></clipPath>
            <g clip-path={`url(#${clip})`}>
              {axes.marks.map((mark, i) => mark.kind !== "text" && <MarkShape key={i} mark={mark} axes={axes} frame={frame} theme={theme} faded={!!mark.label && off.has(mark.label)} />)}
            </g>
            {axes.marks.map((mark, i) => mark.kind === "text" && <MarkShape key={i} mark={mark} axes={axes} frame={frame} theme={theme} faded={false} />)}
            {near && <circle cx={near.left} cy={near.top} r="5" fill="none" stroke={ink} stroke-width="1.5" />}
          </svg>
        )}
        {near && (
          <div class="tip" aria-hidden="true" style={{ top: `${Math.max(0, near.top - 30)}px`, ...(near.left > width / 2 ? { right: `${width - near.left + 12}px` } : { left: `${near.left + 12}px` }) }}>
            {near.label && <b>{near.label}</b>}
            <div>{axes.xlabel || "x"}: {near.x}</div>
            <div>{axes.ylabel || "y"}: {near.y}</div>
            {near.value !== undefined && <div><b>{near.value}</b></div>}
          </div>
        )}
      </div>
    </div>
  );
}

function clipped(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/** The tick at a place, or the number there. */
function named(ticks: FigureAxes["xticks"], at: number): string {
  const tick = ticks?.find((one) => Math.abs(one.at - at) < 1e-6 && one.label);
  return tick ? tick.label : number(at);
}

function nearest(axes: FigureAxes, frame: Frame, px: number, py: number, off: ReadonlySet<string>): Near | null {
  let [best, distance] = [null as Near | null, 32 ** 2];
  const consider = (x: number, y: number, label: string, left = frame.x(x), top = frame.y(y), value?: string): void => {
    const away = (left - px) ** 2 + (top - py) ** 2;
    if (away < distance) [best, distance] = [{ left, top, label, x: named(axes.xticks, x), y: named(axes.yticks, y), value }, away];
  };
  for (const mark of axes.marks) {
    if (mark.label && off.has(mark.label)) continue;
    if (mark.kind === "line" || mark.kind === "points") {
      list(mark.x).forEach((x, i) => { const y = list(mark.y)[i]; if (x !== null && y != null) consider(x, y, mark.label); });
    } else if (mark.kind === "bars") {
      list(mark.x).forEach((x, i) => {
        const [y, w, h] = [list(mark.y)[i], mark.width?.[i] ?? 0, mark.height?.[i] ?? 0];
        if (x === null || y == null) return;
        const [l, r, a, b] = [frame.x(x), frame.x(x + w), frame.y(y), frame.y(y + h)];
        if (px < Math.min(l, r) || px > Math.max(l, r) || py < Math.min(a, b) - 6 || py > Math.max(a, b) + 6) return;
        consider(x + w / 2, y + h / 2, mark.label, px, py, wide(axes, mark.height ?? []) ? number(w) : number(h));
      });
    } else if (mark.kind === "heat" && mark.z?.length) {
      const [left, right, bottom, top] = mark.extent!;
      const [u, v] = [(frame.xInvert(px) - left) / (right - left), (frame.yInvert(py) - top) / (bottom - top)];
      if (u < 0 || u >= 1 || v < 0 || v >= 1) continue;
      const [row, column] = [Math.floor(v * mark.z.length), Math.floor(u * mark.z[0]!.length)];
      const [x, y] = [left + ((column + 0.5) * (right - left)) / mark.z[0]!.length, top + ((row + 0.5) * (bottom - top)) / mark.z.length];
      consider(x, y, "", px, py, number(mark.z[row]![column]));
    }
  }
  return best;
}

/** Bars lie down if all have the same height. */
function wide(axes: FigureAxes, heights: number[]): boolean {
  return axes.yticks !== null && heights.length > 1 && heights.every((h) => Math.abs(h - heights[0]!) < 1e-9);
}
