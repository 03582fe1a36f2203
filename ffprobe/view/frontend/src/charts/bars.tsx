/** A histogram as SVG. */

import { count as counted, number } from "../data/format";

export function Histogram({ edges, counts, label }: { edges: number[]; counts: number[]; label: string }) {
  const [width, height] = [520, 130];
  const most = Math.max(...counts, 1);
  const [low, high] = [edges[0] ?? 0, edges[edges.length - 1] ?? 1];
  const x = (value: number): number => ((value - low) / (high - low || 1)) * width;
  const peak = counts.indexOf(most);
  const text = `${label}: from ${number(low)} to ${number(high)}, most (${counted(most)}) from ${number(edges[peak])} to ${number(edges[peak + 1])}`;
  return (
    <div class="histogram">
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={text}>
        {counts.map((value, i) => {
          const tall = (height * value) / most;
          const left = x(edges[i]!);
          return (
            <rect key={i} x={left} y={height - tall} width={Math.max(0.5, x(edges[i + 1]!) - left - 0.5)} height={tall}>
              <title>{`${number(edges[i])} to ${number(edges[i + 1])}: ${value}`}</title>
            </rect>
          );
        })}
        {low < 0 && high > 0 && <path class="zero" d={`M${x(0)} 0V${height}`} />}
      </svg>
      <div class="histogram-ends" aria-hidden="true"><span>{number(low, 3)}</span>{low < 0 && high > 0 && <span>0</span>}<span>{number(high, 3)}</span></div>
    </div>
  );
}
