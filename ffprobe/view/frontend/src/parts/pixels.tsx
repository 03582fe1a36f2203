/** Images made of few pixels, drawn without smoothing. */

import { useEffect, useRef } from "preact/hooks";
import { viridis } from "../charts/colours";
import type { Maybe } from "../data/api";

/** A map of values, from its least to its greatest. */
export function ValueMap({ values, width, height, label, size = 112 }: {
  values: Maybe[]; width: number; height: number; label: string; size?: number;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const known = values.filter((v): v is number => v !== null);
    const [low, high] = [known.reduce((a, b) => Math.min(a, b), Infinity), known.reduce((a, b) => Math.max(a, b), -Infinity)];
    draw(canvas.current!, width, height, 1, (i) => {
      const value = values[i];
      return value === null || value === undefined ? [128, 128, 128] : viridis(high > low ? (value - low) / (high - low) : 0);
    });
  }, [values, width, height]);
  return <canvas ref={canvas} class="pixels" role="img" aria-label={label} style={scaled(width, height, size)} />;
}

/** Filters of a layer as a grid: base64 of uint8 [count, height, width, channels]. */
export function FilterGrid({ images, count, width, height, channels }: {
  images: string; count: number; width: number; height: number; channels: number;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const columns = Math.min(count, Math.max(8, Math.ceil(Math.sqrt(count * 2))));
  const rows = Math.ceil(count / columns);
  const [w, h] = [columns * (width + 1) - 1, rows * (height + 1) - 1];
  useEffect(() => {
    const data = Uint8Array.from(atob(images), (c) => c.charCodeAt(0));
    draw(canvas.current!, w, h, 1, (i) => {
      const [x, y] = [i % w, Math.floor(i / w)];
      const [column, inX, row, inY] = [Math.floor(x / (width + 1)), x % (width + 1), Math.floor(y / (height + 1)), y % (height + 1)];
      const filter = row * columns + column;
      if (inX === width || inY === height || filter >= count) return null;
      const at = ((filter * height + inY) * width + inX) * channels;
      return channels === 3 ? [data[at]!, data[at + 1]!, data[at + 2]!] : [data[at]!, data[at]!, data[at]!];
    });
  }, [images, w, h]);
  const size = Math.min(560, w * Math.max(1, Math.floor(560 / w)));
  return <canvas ref={canvas} class="pixels wide" role="img" aria-label={`${count} filters of ${height}×${width}`} style={scaled(w, h, size)} />;
}

function scaled(width: number, height: number, size: number): { width: string; aspectRatio: string } {
  return { width: `${width >= height ? size : Math.round((size * width) / height)}px`, aspectRatio: `${width} / ${height}` };
}

function draw(canvas: HTMLCanvasElement, width: number, height: number, _: number, at: (i: number) => number[] | null): void {
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const rgb = at(i);
    if (rgb) image.data.set([rgb[0]!, rgb[1]!, rgb[2]!, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}
