/** Goodness of an image for each layer and label, as a table with colours; each layer has a scale of its own or all share one. */

import { useMemo, useState } from "preact/hooks";
import type { Maybe } from "../data/api";
import { number } from "../data/format";
import { useTheme } from "../data/theme";
import { saveCsv } from "../data/download";
import { Select } from "../parts/choice";
import { heatColour } from "./colours";

export function GoodnessTable({ goodness, layers, labels, truth }: { goodness: Maybe[][]; layers: string[]; labels: string[]; truth: number }) {
  const theme = useTheme();
  const [scale, setScale] = useState("layer");
  const ranges = useMemo(() => {
    const range = (values: Maybe[]): [number, number] => {
      const known = values.filter((v): v is number => v !== null);
      return known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
    };
    const all = range(goodness.flat());
    return goodness.map((row) => (scale === "layer" ? range(row) : all));
  }, [goodness, scale]);
  const best = goodness.map((row) => row.reduce<number>((at, value, i) => (value !== null && value > (row[at] ?? -Infinity) ? i : at), 0));
  const csv = (): void => saveCsv("goodness", ["layer", ...labels], goodness.map((row, i) => [layers[i], ...row]));
  return (
    <>
      <div class="toolbar">
        <Select label="Colours" value={scale} onChange={setScale} options={[{ value: "layer", text: "scaled by layer" }, { value: "all", text: "one scale for all" }]} />
        <span class="hint"><span class="key-best">framed</span> the layer's choice · <span class="key-true">▾</span> the true label</span>
        <span class="spring" />
        <button type="button" class="quiet" onClick={csv}>Save CSV</button>
      </div>
      <div class="table-scroll" role="region" aria-label="Table of goodness" tabIndex={0}>
        <table class="goodness">
          <caption class="hidden">Goodness of this image for each layer (rows) and label (columns)</caption>
          <thead><tr><th scope="col">Layer</th>{labels.map((label, i) => <th key={i} scope="col" class={i === truth ? "true" : ""}><bdi>{label}</bdi>{i === truth && <span class="hidden"> (true)</span>}</th>)}</tr></thead>
          <tbody>
            {goodness.map((row, layer) => (
              <tr key={layer}>
                <th scope="row"><bdi>{layers[layer]}</bdi></th>
                {row.map((value, label) => {
                  const [low, high] = ranges[layer]!;
                  const style = value === null ? {} : heatColour(high > low ? (value - low) / (high - low) : 0.5, theme);
                  const kind = label === best[layer] ? (label === truth ? "best right" : "best") : "";
                  return <td key={label} class={kind} style={style}>{number(value, 3)}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
