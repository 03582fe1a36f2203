/** Axes of a figure: from its numbers to places on the page. */

import { scaleLinear, scaleLog, scaleSymlog } from "d3-scale";
import type { FigureAxes, Tick } from "../data/api";
import { number } from "../data/format";

export interface Frame {
  width: number;
  height: number;
  left: number;
  right: number;
  top: number;
  bottom: number;
  x: (value: number) => number;
  y: (value: number) => number;
  xInvert: (at: number) => number;
  yInvert: (at: number) => number;
  xticks: Tick[];
  yticks: Tick[];
  /** Labels of the x axis stand at an angle. */
  slanted: boolean;
}

const CHARACTER = 6.1; // pixels of one at 11 px

function makeScale(kind: string, domain: [number, number], range: [number, number]) {
  if (kind === "log" && domain[0] > 0 && domain[1] > 0) return scaleLog(domain, range);
  if (kind === "symlog") return scaleSymlog(domain, range);
  return scaleLinear(domain, range);
}

/** Axes on which only whole numbers have a meaning. */
const WHOLE = /^(layer|depth|epoch|step|seed)s?$/i;

function ticksOf(given: Tick[] | null, kind: string, domain: [number, number], count: number, name: string): Tick[] {
  const [low, high] = [Math.min(...domain), Math.max(...domain)];
  if (given) return given.filter((tick) => tick.at >= low - 1e-9 && tick.at <= high + 1e-9);
  const all = makeScale(kind, domain, [0, 1]).ticks(count).filter((at) => Number.isInteger(at) || !WHOLE.test(name));
  const powers = all.filter((at) => Math.abs(Math.log10(Math.abs(at)) % 1) < 1e-6);
  return (kind === "log" && powers.length > 1 ? powers : all).map((at) => ({ at, label: number(at) }));
}

/** Not more ticks than have room. */
function thinned(ticks: Tick[], room: number): Tick[] {
  const every = Math.max(1, Math.ceil(ticks.length / Math.max(2, room)));
  return ticks.filter((_, i) => i % every === 0);
}

export function makeFrame(axes: FigureAxes, width: number, height: number, shape: string): Frame {
  const yticks = thinned(ticksOf(axes.yticks, axes.yscale, axes.ylim, 5, axes.ylabel), height / 13);
  const longest = Math.max(1, ...yticks.map((tick) => tick.label.length));
  const left = Math.min(width * 0.4, 14 + longest * CHARACTER + (axes.ylabel ? 18 : 0));
  const ends = axes.marks.filter((mark) => mark.kind === "text" && shape !== "heat" && beside(axes, mark));
  const right = ends.length ? Math.min(width * 0.3, 10 + CHARACTER * Math.max(...ends.map((mark) => mark.text?.length ?? 0))) : 12;
  let xticks = ticksOf(axes.xticks, axes.xscale, axes.xlim, Math.max(2, Math.floor((width - left - right) / 60)), axes.xlabel);
  const widest = Math.max(1, ...xticks.map((tick) => tick.label.length));
  const slanted = widest > 4 && xticks.length * (widest + 1) * CHARACTER > width - left - right;
  xticks = thinned(xticks, (width - left - right) / (slanted ? 15 : (widest + 1) * CHARACTER));
  const bottom = (slanted ? Math.min(height * 0.35, 14 + widest * CHARACTER * 0.7) : 22) + (axes.xlabel ? 18 : 0);
  const top = 8;
  const x = makeScale(axes.xscale, axes.xlim, [left, width - right]);
  const y = makeScale(axes.yscale, axes.ylim, [height - bottom, top]);
  const of = (scale: typeof x) => (value: number) => Number(scale(value));
  return {
    width, height, left, right, top, bottom, xticks, yticks, slanted,
    x: of(x), y: of(y), xInvert: (at) => Number(x.invert(at)), yInvert: (at) => Number(y.invert(at)),
  };
}

/** Whether a text begins at the right end of the axes. */
function beside(axes: FigureAxes, mark: FigureAxes["marks"][number]): boolean {
  return mark.frame === "data" ? atEnd(axes, Number(mark.x)) : mark.frame?.startsWith("axes") === true && mark.frame !== "axes-y" && Number(mark.x) >= 1;
}

export function atEnd(axes: FigureAxes, x: number): boolean {
  const [low, high] = axes.xlim;
  return (x - low) / (high - low) > 0.85;
}
