/** A histogram as SVG. */

import { count as counted, number } from "../data/format";

export function Histogram({ edges, counts, label }: { edges: number[]; counts: number[]; label: string }) {
  const [width, height, bottom] = [520, 150, 20];
  const most = Math.max(...counts, 1);
  const [low, high] = [edges[0] ?? 0, edges[edges.length - 1] ?? 1];
  const x = (value: number): number => ((value - low) / (high - low || 1)) * width;
  const peak = counts.indexOf(most);
  const text = `${label}: from ${number(low)} to ${number(high)}, most (${counted(most)}) from ${number(edges[peak])} to ${number(edges[peak + 1])}`;
  return (
    <svg class="histogram" viewBox={`0 0 ${width} ${height}`} role="img" aria-label={text}>
      {counts.map((value, i) => {
        const tall = ((height - bottom) * value) / most;
        const left = x(edges[i]!);
        return (
          <rect key={i} x={left} y={height - bottom - tall} width={Math.max(0.5, x(edges[i + 1]!) - left - 0.5)} height={tall}>
            <title>{`${number(edges[i])} to ${number(edges[i + 1])}: ${value}`}</title>
          </rect>
        );
      })}
      {low < 0 && high > 0 && <path class="zero" d={`M${x(0)} 0V${height - bottom}`} />}
      <path class="axis" d={`M0 ${height - bottom}H${width}`} />
      <text x="0" y={height - 5}>{number(low, 3)}</text>
      {low < 0 && high > 0 && <text x={x(0)} y={height - 5} text-anchor="middle">0</text>}
      <text x={width} y={height - 5} text-anchor="end">{number(high, 3)}</text>
    </svg>
  );
}
