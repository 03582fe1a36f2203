/** How accurate each layer alone is: the first thing to look at in a network trained layer by layer. */

import { useMemo } from "preact/hooks";
import { runColour, runDash } from "../charts/colours";
import type { Line } from "../charts/line";
import { LineChart } from "../charts/line_chart";
import type { CurvesPayload, Row } from "../data/api";
import { layerAccuracy } from "../data/meaning";
import { useTheme } from "../data/theme";
import { Empty } from "../parts/notice";

const ALL = (): boolean => true;

export function AccuracyByLayer({ runs, curves, height = 260 }: { runs: Row[]; curves: (CurvesPayload | null)[]; height?: number }) {
  const theme = useTheme();
  const { lines, depth, part } = useMemo(() => {
    const measured = curves.map(layerAccuracy);
    const deep = Math.max(0, ...measured.map((m) => m.values.length));
    const made = measured.flatMap((m, i): Line[] => m.values.length ? [{
      id: runs[i]!.id, label: runs[i]!.label, run: runs[i]!.label, layer: null, colour: runColour(i, theme), dash: runDash(i),
      values: Array.from({ length: deep }, (_, layer) => m.values[layer] ?? null),
    }] : []);
    const parts = [...new Set(measured.filter((m) => m.values.length).map((m) => m.part))];
    return { lines: made, depth: deep, part: parts.length === 1 ? parts[0]! : "validation" };
  }, [...curves, theme]);
  const x = useMemo(() => Array.from({ length: depth }, (_, i) => i + 1), [depth]);
  if (!lines.length) return <Empty title="No layer has been evaluated yet.">The chart appears after the first evaluation.</Empty>;
  return (
    <>
      <LineChart name="layer-accuracy" title={part === "test" ? "Test accuracy" : "Validation accuracy"} meaning="accuracy of each layer's goodness alone, at the last evaluation"
        unit="%" xLabel="Layer" x={x} lines={lines} visible={ALL} log={false} sync="layer" height={height} marks />
      {lines.length > 1 && (
        <ul class="legend">{lines.slice(0, 24).map((line) => <li key={line.id}><i style={{ background: line.colour }} /><bdi>{line.label}</bdi></li>)}</ul>
      )}
    </>
  );
}
