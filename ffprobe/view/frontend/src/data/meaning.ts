/** Which series are what, and in which order a reader wants them. */

import type { CurvesPayload, Maybe, Series } from "./api";

const ORDER = [
  "validation_accuracy", "test_accuracy", "model_validation_accuracy", "loss", "goodness_positive", "goodness_negative", "separation",
  "weight_norm", "weight_maximum", "gradient_norm",
];
/** Shown only when asked for. */
export const DETAILS = new Set(["weight_maximum", "images_per_second", "wall_time", "learning_rate"]);

export function ordered(names: Iterable<string>): string[] {
  const place = (name: string): number => {
    const at = ORDER.indexOf(name);
    return DETAILS.has(name) ? 100 + at : at < 0 ? 50 : at;
  };
  return [...new Set(names)].sort((a, b) => place(a) - place(b) || a.localeCompare(b));
}

export function layerValues(series: Series | undefined): Maybe[][] {
  return series?.by_layer ? (series.values as Maybe[][]) : [];
}

/** The accuracy of each layer at the last epoch where it was measured, and of which part of the data. */
export function layerAccuracy(curves: CurvesPayload | null): { part: string; values: Maybe[]; epoch: number | null } {
  for (const [name, part] of [["test_accuracy", "test"], ["validation_accuracy", "validation"]] as const) {
    const rows = layerValues(curves?.series[name]);
    if (!rows.length) continue;
    for (let i = (rows[0]?.length ?? 0) - 1; i >= 0; i--) {
      if (rows.some((row) => row[i] !== null)) return { part, values: rows.map((row) => row[i] ?? null), epoch: curves!.epoch[i] ?? null };
    }
  }
  return { part: "validation", values: [], epoch: null };
}

export function last(values: Maybe[] | undefined): Maybe {
  return values?.findLast((value) => value !== null) ?? null;
}
