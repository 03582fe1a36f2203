/** What a line chart draws. */

import type { Maybe } from "../data/api";

export interface Line {
  id: string;
  label: string;
  run: string;
  layer: string | null;
  colour: string;
  dash: number[];
  values: Maybe[];
}

/** Exponential moving average, corrected for its start; the weight of the past is in 0..1. */
export function smoothed(values: Maybe[], weight: number): Maybe[] {
  if (weight <= 0) return values;
  let [mean, known] = [0, 0];
  return values.map((value) => {
    if (value === null) return null;
    mean = weight * mean + (1 - weight) * value;
    known = weight * known + (1 - weight);
    return mean / known;
  });
}

/** Values of one run at the epochs of all of them. */
export function aligned(epochs: number[], all: number[], values: Maybe[]): Maybe[] {
  if (epochs.length === all.length && epochs[epochs.length - 1] === all[all.length - 1]) return values;
  const at = new Map(epochs.map((epoch, i) => [epoch, values[i] ?? null]));
  return all.map((epoch) => at.get(epoch) ?? null);
}

export function union(lists: number[][]): number[] {
  return [...new Set(lists.flat())].sort((a, b) => a - b);
}
