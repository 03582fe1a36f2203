/** The marks of a figure as SVG, with attributes instead of styles, so that a saved file looks the same. */

import type { FigureAxes, Mark, Maybe } from "../data/api";
import type { Theme } from "../data/theme";
import { onTheme } from "./colours";
import { atEnd, type Frame } from "./figure_scale";

const DASHES: Record<string, string> = { dashed: "6 3", dotted: "2 3" };

export function list(values: Mark["x"]): Maybe[] {
  return Array.isArray(values) ? values : values === undefined ? [] : [values];
}

export function MarkShape({ mark, axes, frame, theme, faded }: { mark: Mark; axes: FigureAxes; frame: Frame; theme: Theme; faded: boolean }) {
  const colour = onTheme(mark.colour, theme);
  const { x, y } = frame;
  const opacity = faded ? 0.15 : 1;
  const dash = DASHES[mark.dash ?? ""];
  if (mark.kind === "line" || mark.kind === "points") {
    const [xs, ys] = [list(mark.x), list(mark.y)];
    return (
      <g opacity={opacity}>
        {mark.kind === "line" && <path d={path(xs, ys, frame, mark.step ?? "")} fill="none" stroke={colour} stroke-width="1.8" stroke-dasharray={dash} stroke-linejoin="round" />}
        {mark.yerror?.map(([low, high], i) => xs[i] != null && low !== null && high !== null && (
          <path key={i} d={`M${x(xs[i]!)} ${y(low)}V${y(high)}`} stroke={colour} stroke-width="1.2" />
        ))}
        {mark.xerror?.map(([low, high], i) => ys[i] != null && low !== null && high !== null && (
          <path key={i} d={`M${x(low)} ${y(ys[i]!)}H${x(high)}`} stroke={colour} stroke-width="1.2" />
        ))}
        {(mark.marker || mark.kind === "points") && xs.map((at, i) => at !== null && ys[i] != null && (
          <Marker key={i} kind={mark.marker ?? "o"} x={x(at)} y={y(ys[i]!)} colour={onTheme(mark.colours?.[i] ?? mark.colour, theme)} filled={mark.filled !== false} />
        ))}
      </g>
    );
  }
  if (mark.kind === "bars") {
    return (
      <g opacity={opacity}>
        {list(mark.x).map((left, i) => {
          const [low, w, h] = [list(mark.y)[i], mark.width?.[i] ?? 0, mark.height?.[i] ?? 0];
          if (left === null || low == null) return null;
          const base = frame.height - frame.bottom;
          const clip = (value: number): number => (Number.isFinite(value) ? value : base);
          const [x0, x1, y0, y1] = [x(left), x(left + w), clip(y(low)), clip(y(low + h))];
          return <rect key={i} x={Math.min(x0, x1)} y={Math.min(y0, y1)} width={Math.max(1, Math.abs(x1 - x0))} height={Math.max(0.5, Math.abs(y1 - y0))} fill={onTheme(mark.colours?.[i] ?? mark.colour, theme)} />;
        })}
      </g>
    );
  }
  if (mark.kind === "band") {
    const d = path(list(mark.x), list(mark.y), frame, "");
    return mark.outline ? <path d={`${d}Z`} fill="none" stroke={colour} opacity={opacity} /> : <path d={`${d}Z`} fill={colour} opacity={faded ? 0.08 : mark.colour.length > 7 ? 1 : 0.25} />;
  }
  if (mark.kind === "segments") {
    return <path d={(mark.x0 ?? []).map((x0, i) => `M${x(x0)} ${y(mark.y0![i]!)}L${x(mark.x1![i]!)} ${y(mark.y1![i]!)}`).join("")} stroke={colour} fill="none" opacity={opacity} />;
  }
  if (mark.kind === "rule" && mark.at !== undefined) {
    const d = mark.axis === "x" ? `M${x(mark.at)} ${frame.top}V${frame.height - frame.bottom}` : `M${frame.left} ${y(mark.at)}H${frame.width - frame.right}`;
    return <path d={d} stroke={colour} stroke-dasharray={dash} fill="none" opacity={faded ? 0.15 : 0.8}>{mark.label && <title>{mark.label}</title>}</path>;
  }
  if (mark.kind === "text") return <TextMark mark={mark} axes={axes} frame={frame} colour={colour} />;
  return mark.kind === "heat" ? <Heat mark={mark} frame={frame} /> : null;
}

function TextMark({ mark, axes, frame, colour }: { mark: Mark; axes: FigureAxes; frame: Frame; colour: string }) {
  const [x, y] = [Number(mark.x), Number(mark.y)];
  const heat = axes.marks.some((other) => other.kind === "heat");
  const inAxes = mark.frame === "axes" || mark.frame === "axes-x"; // x is a fraction of the axes
  const at = [
    inAxes ? frame.left + x * (frame.width - frame.left - frame.right) : frame.x(x),
    mark.frame === "axes" || mark.frame === "axes-y" ? frame.height - frame.bottom - y * (frame.height - frame.bottom - frame.top) : frame.y(y),
  ];
  if (!at.every(Number.isFinite)) return null;
  const end = !heat && !inAxes && atEnd(axes, x);
  // text on a heat map keeps the colour that was chosen for its cell
  return (
    <text x={at[0]! + (end ? 6 : 0)} y={at[1]! + 4} font-size="11" text-anchor={end || (inAxes && x >= 1) ? "start" : inAxes && x < 0.2 ? "start" : inAxes && x > 0.8 ? "end" : "middle"} fill={heat && !inAxes ? mark.colour : colour}>
      {mark.text}
    </text>
  );
}

function path(xs: Maybe[], ys: Maybe[], frame: Frame, step: string): string {
  let d = "";
  let before: [number, number] | null = null;
  xs.forEach((value, i) => {
    const other = ys[i];
    if (value === null || other == null) return void (before = null);
    const at: [number, number] = [frame.x(value), frame.y(other)];
    if (!at.every(Number.isFinite)) return void (before = null);
    if (!before) d += `M${round(at[0])} ${round(at[1])}`;
    else if (step === "post") d += `H${round(at[0])}V${round(at[1])}`;
    else if (step === "pre") d += `V${round(at[1])}H${round(at[0])}`;
    else if (step === "mid") d += `H${round((before[0] + at[0]) / 2)}V${round(at[1])}H${round(at[0])}`;
    else d += `L${round(at[0])} ${round(at[1])}`;
    before = at;
  });
  return d;
}

const round = (value: number): number => Math.round(value * 10) / 10;

function Marker({ kind, x, y, colour, filled }: { kind: string; x: number; y: number; colour: string; filled: boolean }) {
  const look = filled ? { fill: colour } : { fill: "none", stroke: colour, "stroke-width": 1.4 };
  if (!Number.isFinite(x) || !Number.isFinite(y)) return null;
  if (kind === "s") return <rect x={x - 3} y={y - 3} width="6" height="6" {...look} />;
  if (kind === "D" || kind === "d") return <path d={`M${x} ${y - 4}l4 4l-4 4l-4 -4Z`} {...look} />;
  if (kind === "^") return <path d={`M${x} ${y - 4}l4 7h-8Z`} {...look} />;
  if (kind === "v") return <path d={`M${x} ${y + 4}l4 -7h-8Z`} {...look} />;
  if (kind === "x" || kind === "+") return <path d={kind === "x" ? `M${x - 3} ${y - 3}l6 6m0 -6l-6 6` : `M${x - 4} ${y}h8m-4 -4v8`} stroke={colour} fill="none" stroke-width="1.6" />;
  return <circle cx={x} cy={y} r={kind === "." || kind === "," ? 1.8 : 3} {...look} />;
}

function Heat({ mark, frame }: { mark: Mark; frame: Frame }) {
  const [left, right, bottom, top] = mark.extent!;
  const [x0, x1, y0, y1] = [frame.x(left), frame.x(right), frame.y(top), frame.y(bottom)];
  const flip = `translate(${x0} ${y0}) scale(${Math.sign(x1 - x0) || 1} ${Math.sign(y1 - y0) || 1})`;
  return <image href={heatImage(mark)} width={Math.abs(x1 - x0)} height={Math.abs(y1 - y0)} transform={flip} preserveAspectRatio="none" image-rendering="pixelated" />;
}

function heatImage(mark: Mark): string {
  const [rows, low, high] = [mark.z!, mark.zmin ?? 0, mark.zmax ?? 1];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(1, rows[0]?.length ?? 1), Math.max(1, rows.length)];
  const context = canvas.getContext("2d")!;
  const colours = mark.colours ?? ["#000000", "#ffffff"];
  rows.forEach((row, i) => row.forEach((value, j) => {
    if (value === null) return;
    const at = high > low ? (value - low) / (high - low) : 0.5;
    context.fillStyle = colours[Math.round(Math.min(1, Math.max(0, at)) * (colours.length - 1))]!;
    context.fillRect(j, i, 1, 1);
  }));
  return canvas.toDataURL();
}
