/** uPlot with this page's look. uPlot sets styles through the DOM only, which the content security policy allows. */

import uPlot from "uplot";
import type { Line } from "./line";

export interface PlotChoice {
  x: number[];
  lines: Line[];
  visible: (line: Line) => boolean;
  log: boolean;
  width: number;
  height: number;
  sync: string;
  marks: boolean;
}

const FOCUS_UP_TO = 120; // a redraw for each movement of the pointer; more lines are too many for that

const WHOLE = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7].flatMap((power) => [power, 2 * power, 5 * power]); // epochs and steps

export function css(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function plotData(choice: PlotChoice): uPlot.AlignedData {
  const ys = choice.lines.map((line) => (choice.log ? line.values.map((v) => (v !== null && v > 0 ? v : null)) : line.values));
  return [choice.x, ...ys];
}

/** Draw the lines into an element. The hooks are called after each movement of the cursor and each redraw. */
export function makePlot(into: HTMLElement, choice: PlotChoice, hooks: uPlot.Hooks.Arrays): uPlot {
  const [ink, rule] = [css("--muted"), css("--rule")];
  const font = `11px ${css("--font") || "sans-serif"}`;
  const axis = { stroke: ink, font, ticks: { stroke: rule, width: 1, size: 4 }, grid: { stroke: rule, width: 1 } };
  const options: uPlot.Options = {
    width: choice.width,
    height: choice.height,
    legend: { show: false },
    focus: { alpha: choice.lines.length <= FOCUS_UP_TO ? 0.25 : 1 },
    cursor: {
      sync: { key: choice.sync },
      focus: { prox: 24 },
      points: { size: 6, show: choice.lines.length <= FOCUS_UP_TO },
      drag: { x: true, y: false, setScale: true },
    },
    scales: {
      x: { time: false, range: (_, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) },
      y: choice.log ? { distr: 3 } : {},
    },
    axes: [
      { ...axis, grid: { show: false }, size: 30, incrs: WHOLE, values: (_, ticks) => ticks.map(String) },
      { ...axis, size: 52 },
    ],
    series: [
      {},
      ...choice.lines.map((line) => ({
        label: line.label,
        stroke: line.colour,
        width: choice.lines.length > FOCUS_UP_TO ? 1 : 1.5,
        dash: line.dash,
        show: choice.visible(line),
        spanGaps: true,
        points: { show: choice.marks || choice.x.length < 2, size: 6, fill: line.colour },
      })),
    ],
    hooks,
  };
  return new uPlot(options, plotData(choice), into);
}
