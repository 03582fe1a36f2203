/** Numbers and times as text. */

import type { Maybe } from "./api";

export const MISSING = "–";

/** Four significant digits, without an exponent where it can be avoided. */
export function number(value: Maybe | undefined, digits = 4): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(Math.min(digits - 1, 2)).replace("-", "−").replace("e−", "e-");
  const text = Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
}

export function fixed(value: Maybe | undefined, decimals: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  return value.toFixed(decimals).replace("-", "−");
}

export function percent(value: Maybe | undefined): string {
  return value === null || value === undefined ? MISSING : `${fixed(value, 2)} %`;
}

/** 12345678 as 12.3 M. */
export function count(value: Maybe | undefined): string {
  if (value === null || value === undefined) return MISSING;
  for (const [size, name] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (value >= size) return `${Number((value / size).toPrecision(3))} ${name}`;
  }
  return String(value);
}

export function bytes(value: Maybe | undefined): string {
  return value === null || value === undefined ? MISSING : `${count(value)}B`.replace(/(\d)B$/, "$1 B");
}

export function duration(seconds: Maybe | undefined): string {
  if (seconds === null || seconds === undefined) return MISSING;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 100) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Number((seconds / 3600).toPrecision(2))} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** One value of a setting. */
export function setting(value: unknown): string {
  if (value === null || value === undefined) return MISSING;
  if (typeof value === "number") return number(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** `validation_accuracy` as `Validation accuracy`. */
export function title(name: string): string {
  const text = name.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A layer's name as a reader knows it: numbers from 1. */
export function layerName(name: string | undefined, index: number): string {
  if (name === undefined || /^\d+$/.test(name)) return `Layer ${name ?? index + 1}`;
  return name;
}
