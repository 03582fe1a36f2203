/** A line chart as an SVG document: what the chart shows, for a file. */

import { scaleLinear, scaleLog } from "d3-scale";
import { number } from "../data/format";
import type { Line } from "./line";

export interface Shown {
  title: string;
  xLabel: string;
  yLabel: string;
  x: number[];
  lines: Line[];
  xRange: [number, number];
  yRange: [number, number];
  log: boolean;
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [860, 440, 64, 190, 36, 48];
const LEGEND = 24;

const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]!);

export function lineSvg(shown: Shown): string {
  const x = scaleLinear(shown.xRange, [LEFT, WIDTH - RIGHT]);
  const y = (shown.log ? scaleLog : scaleLinear)(shown.yRange, [HEIGHT - BOTTOM, TOP]);
  const parts: string[] = [];
  for (const tick of y.ticks(6)) {
    if (shown.log && !/^1/.test(tick.toExponential())) continue;
    parts.push(`<path d="M${LEFT} ${y(tick)}H${WIDTH - RIGHT}" stroke="#dfe3e8"/>`);
    parts.push(`<text x="${LEFT - 8}" y="${y(tick) + 4}" text-anchor="end">${escape(number(tick))}</text>`);
  }
  for (const tick of x.ticks(8)) {
    parts.push(`<text x="${x(tick)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${escape(number(tick))}</text>`);
  }
  parts.push(`<path d="M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}" stroke="#5c6470" fill="none"/>`);
  const clip = `<clipPath id="area"><rect x="${LEFT}" y="${TOP}" width="${WIDTH - LEFT - RIGHT}" height="${HEIGHT - TOP - BOTTOM}"/></clipPath>`;
  for (const line of shown.lines) {
    let [path, pen] = ["", false];
    line.values.forEach((value, i) => {
      if (value === null || (shown.log && value <= 0)) return void (pen = false);
      path += `${pen ? "L" : "M"}${x(shown.x[i]!).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = true;
    });
    const dash = line.dash.length ? ` stroke-dasharray="${line.dash.join(" ")}"` : "";
    parts.push(`<path d="${path}" stroke="${line.colour}" stroke-width="1.6" fill="none" clip-path="url(#area)"${dash}/>`);
  }
  shown.lines.slice(0, LEGEND).forEach((line, i) => {
    const at = TOP + 8 + i * 16;
    parts.push(`<path d="M${WIDTH - RIGHT + 14} ${at}h18" stroke="${line.colour}" stroke-width="2"/>`);
    parts.push(`<text x="${WIDTH - RIGHT + 38}" y="${at + 4}">${escape(line.label.slice(0, 24))}</text>`);
  });
  const more = shown.lines.length - LEGEND;
  if (more > 0) parts.push(`<text x="${WIDTH - RIGHT + 14}" y="${TOP + 12 + LEGEND * 16}">and ${more} more lines</text>`);
  const middle = (LEFT + WIDTH - RIGHT) / 2;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}"
 font-family="system-ui, sans-serif" font-size="12" fill="#1a1d21"><rect width="100%" height="100%" fill="#ffffff"/>${clip}
<text x="${LEFT}" y="22" font-size="14" font-weight="600">${escape(shown.title)}</text>
<text x="${middle}" y="${HEIGHT - 10}" text-anchor="middle">${escape(shown.xLabel)}</text>
<text transform="translate(16 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">${escape(shown.yLabel)}</text>
${parts.join("\n")}</svg>`;
}
