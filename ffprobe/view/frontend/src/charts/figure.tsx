import type { FigureNumbers } from "../data/api";
export function Figure(_: { name: string; title: string; figure: FigureNumbers }) { return null; }
