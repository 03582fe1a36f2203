/** A figure of an analysis, drawn from the numbers of the static one. */

import { useMemo, useRef, useState } from "preact/hooks";
import type { FigureNumbers } from "../data/api";
import { savePng, saveText } from "../data/download";
import { number } from "../data/format";
import { useTheme } from "../data/theme";
import { Menu } from "../parts/menu";
import { onTheme } from "./colours";
import { FigurePanel } from "./figure_panel";

export function Figure({ name, title, figure }: { name: string; title: string; figure: FigureNumbers }) {
  const theme = useTheme();
  const box = useRef<HTMLDivElement>(null);
  const [off, setOff] = useState<ReadonlySet<string>>(new Set());
  const columns = useMemo(() => new Set(figure.axes.map((axes) => axes.position[0].toFixed(2))).size, [figure]);
  const labels = useMemo(() => {
    const entries = new Map<string, string>();
    for (const entry of figure.legend) if (entry.label) entries.set(entry.label, entry.colour);
    for (const axes of figure.axes) for (const mark of axes.marks) if (mark.label && mark.kind !== "rule" && !entries.has(mark.label)) entries.set(mark.label, mark.colour);
    return [...entries];
  }, [figure]);
  const toggle = (label: string): void => {
    const next = new Set(off);
    if (!next.delete(label)) next.add(label);
    setOff(next);
  };
  const files = [
    { name: "SVG", run: () => saveText(`${name}.svg`, joined(box.current!), "image/svg+xml") },
    { name: "PNG", run: () => void savePng(name, joined(box.current!)) },
  ];
  return (
    <figure class="chart figure">
      <figcaption>
        <span class="figure-legend">
          {labels.length > 1 && labels.slice(0, 30).map(([label, colour]) => (
            <button key={label} type="button" class="toggle" aria-pressed={!off.has(label)} onClick={() => toggle(label)}>
              <i style={{ background: onTheme(colour, theme) }} /><bdi>{label}</bdi>
            </button>
          ))}
        </span>
        <span class="spring" />
        <Menu label={`Download the figure`} text="↓" items={files} />
      </figcaption>
      <div class="figure-panels" ref={box} style={{ gridTemplateColumns: `repeat(auto-fit, minmax(min(100%, ${columns > 3 ? 220 : columns > 1 ? 300 : 480}px), 1fr))` }}>
        {figure.axes.map((axes, i) => (
          <FigurePanel key={i} axes={axes} off={off} name={title} ratio={(axes.position[3] * figure.size[1]) / Math.max(0.01, axes.position[2] * figure.size[0])} />
        ))}
      </div>
      {figure.bars.map((bar, i) => (
        <div class="colour-bar" key={i}>
          <span>{bar.label}</span><span>{number(bar.low)}</span><i style={{ background: `linear-gradient(to right, ${bar.colours.join(", ")})` }} /><span>{number(bar.high)}</span>
        </div>
      ))}
    </figure>
  );
}

/** All panels as one document, where they are on the page. */
function joined(box: HTMLElement): string {
  const area = box.getBoundingClientRect();
  const ground = getComputedStyle(box.closest(".chart")!).backgroundColor;
  const ink = getComputedStyle(box).color;
  const parts = [...box.querySelectorAll(".figure-panel")].map((panel) => {
    const svg = panel.querySelector("svg")!;
    const at = svg.getBoundingClientRect();
    const head = panel.querySelector(".chart-title")?.textContent ?? "";
    const title = document.createElementNS("http://www.w3.org/2000/svg", "text");
    title.textContent = head;
    const [x, y] = [at.left - area.left, at.top - area.top];
    for (const [key, value] of Object.entries({ x: "8", y: "-6", "font-weight": "600", fill: ink })) title.setAttribute(key, value);
    return `<g transform="translate(${x} ${y})">${new XMLSerializer().serializeToString(title)}${new XMLSerializer().serializeToString(svg)}</g>`;
  });
  const [w, h] = [Math.ceil(area.width), Math.ceil(area.height)];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}" font-family="system-ui, sans-serif" font-size="12"><rect width="100%" height="100%" fill="${ground}"/>${parts.join("")}</svg>`;
}
