/** Colours that colour-blind readers can tell apart: viridis by depth, Okabe and Ito's palette by run. */

import type { Theme } from "../data/theme";

type Rgb = [number, number, number];

const VIRIDIS: Rgb[] = [
  [68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50],
  [253, 231, 37],
];
const DIVERGING: [Rgb, Rgb] = [[33, 102, 172], [178, 24, 43]];
const RUNS: Record<Theme, string[]> = {
  light: ["#0072b2", "#d55e00", "#007f5c", "#a8437f", "#8a6d00", "#3c8fc0", "#5b4b9a", "#555b66"],
  dark: ["#56b4e9", "#ff8a3d", "#2fc79a", "#e58bbf", "#f0e442", "#8fc7ff", "#b3a3ff", "#b8c0cc"],
};
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

function mix(stops: Rgb[], at: number): Rgb {
  const place = Math.min(1, Math.max(0, at)) * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2);
  const part = place - low;
  return stops[low]!.map((value, i) => Math.round(value + (stops[low + 1]![i]! - value) * part)) as Rgb;
}

const css = ([r, g, b]: Rgb): string => `rgb(${r}, ${g}, ${b})`;

/** The colour of a layer: dark to bright by depth, within what shows on the background. */
export function layerColour(index: number, depth: number, theme: Theme): string {
  const at = depth > 1 ? index / (depth - 1) : 0.5;
  return css(mix(VIRIDIS, theme === "dark" ? 0.4 + 0.6 * at : 0.8 * at));
}

export function runColour(index: number, theme: Theme): string {
  const palette = RUNS[theme];
  return palette[index % palette.length]!;
}

export function runDash(index: number): number[] {
  return DASHES[Math.floor(index / RUNS.light.length) % DASHES.length]!;
}

/** The colour of a value in 0..1, and black or white for the text on it: whichever has more contrast. */
export function heatColour(at: number, theme: Theme): { background: string; color: string } {
  const [low, high]: [Rgb, Rgb] = theme === "dark" ? [[23, 27, 33], [108, 178, 255]] : [[255, 255, 255], [11, 92, 173]];
  const rgb = mix([low, high], at);
  return { background: css(rgb), color: textOn(rgb) };
}

/** The colour of a value in -1..1: blue below zero, red above. */
export function divergingColour(at: number, theme: Theme): string {
  const middle: Rgb = theme === "dark" ? [30, 34, 41] : [247, 247, 247];
  return css(mix([middle, DIVERGING[at < 0 ? 0 : 1]], Math.abs(at)));
}

export function viridis(at: number): Rgb {
  return mix(VIRIDIS, at);
}

function textOn(rgb: Rgb): string {
  const [r, g, b] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as Rgb;
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return (light + 0.05) / 0.05 > 1.05 / (light + 0.05) ? "#000000" : "#ffffff";
}

/** A colour of a figure that was drawn on white, as it shows on the page's background. */
export function onTheme(colour: string, theme: Theme): string {
  const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})?$/i.exec(colour);
  if (!match || theme === "light") return colour || "currentColor";
  const rgb = [1, 2, 3].map((i) => parseInt(match[i]!, 16)) as Rgb;
  const spread = Math.max(...rgb) - Math.min(...rgb);
  const light = (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) / 255;
  const alpha = match[4] ?? "";
  const hex = (value: number): string => Math.round(Math.min(255, Math.max(0, value))).toString(16).padStart(2, "0");
  if (spread < 24) return `#${rgb.map((v) => hex(255 - v * 0.9)).join("")}${alpha}`; // grays change places
  if (light > 0.45) return colour;
  const lift = (0.55 - light) / (1 - light);
  return `#${rgb.map((v) => hex(v + (255 - v) * lift)).join("")}${alpha}`;
}
