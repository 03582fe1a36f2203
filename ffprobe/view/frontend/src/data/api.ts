/** What the server sends. One interface per payload of ffprobe/view/payload; null stands for a number that is not finite. */

export type Maybe = number | null;
export type State = "running" | "interrupted" | "damaged" | "unreadable" | "finished";

export interface Row {
  id: string;
  label: string;
  path: string;
  folder?: string;
  /** preset and plugins in short */
  method?: string;
  state: State;
  reason: string | null;
  dataset: string | null;
  preset: string | null;
  plugins: Record<string, string>;
  settings: Record<string, unknown>;
  seed: number | null;
  epochs: number;
  planned: number | null;
  /** percent */
  accuracy: Maybe;
  accuracy_of: string | null;
  age_seconds: Maybe;
  wall_time: Maybe;
  bytes: Maybe;
  revision: number | string;
  /** equal for runs that differ in nothing but the seed */
  group: string;
}

export interface RunsPayload {
  runs: Row[];
  differing: string[];
  title: string;
  /** Of a report: what its first screen says. */
  findings?: string[];
}

export interface Layer {
  index: number;
  name: string;
  shape: number[] | null;
  parameters: Maybe;
  multiply_adds: Maybe;
  groups: number[];
  kind?: string | null;
  dead?: { dead: number; of: number } | null;
  gradient_norm?: Maybe;
}

export interface Group {
  index: number;
  trains: number[];
  loss_layers: number[];
  text: string;
}

export interface RunPayload {
  row: Row;
  layers: Layer[];
  groups: Group[];
  labels: string[];
  evaluators: string[];
  metrics: string[];
  config: string;
  command: string | null;
  environment: [string, string][];
  log: { step: Maybe; message: string }[];
  /** images with recorded pixels, by part */
  images: Record<string, number>;
  findings: { text: string; level: string; command?: string }[];
}

export interface Series {
  unit: string | null;
  meaning: string | null;
  by_layer: boolean;
  /** [epoch], or [layer][epoch] if by_layer */
  values: Maybe[] | Maybe[][];
}

export interface CurvesPayload {
  epoch: number[];
  layers: string[];
  series: Record<string, Series>;
  steps: { step: number[]; series: Record<string, Series> } | null;
  /** what probes recorded, each with its own x */
  probes?: ({ name: string; x_name: string; x: number[] } & Series)[];
}

export interface Image {
  part: string;
  sample: number;
  true?: Maybe;
  image: string | null;
}

export interface LayerPayload {
  histogram: { edges: number[]; counts: number[]; mean?: Maybe; std?: Maybe; not_finite?: number } | null;
  weight_shape?: number[] | null;
  /** images: base64 of uint8 [image, height, width, channels]; 128 is zero */
  filters: {
    height: number; width: number; channels: number; count: number; images: string;
    inputs?: number; filters?: number; largest?: Maybe;
  } | null;
  units: { unit: number; strongest: (Image & { activation: Maybe })[] }[];
  dead_units: { dead: number; of: number } | null;
  weight_norm: Maybe[] | null;
}

export interface SamplesPayload {
  part: string;
  epoch: number;
  epochs: number[];
  count: number;
  labels: string[];
  true: number[];
  index: number[];
  layers: string[];
  /** labels by "layer N"; -1: undecided */
  predicted: Record<string, number[]>;
  /** the images with recorded pixels */
  images: number[];
}

export interface EvaluatorsPayload {
  part: string;
  epoch: number;
  evaluators: Record<string, number[]>;
  skipped: Record<string, string>;
}

export interface SamplePayload {
  part: string;
  index: number;
  epoch: number;
  epochs: number[];
  count: number;
  true: number;
  labels: string[];
  layers: string[];
  /** [layer][label] */
  goodness: Maybe[][];
  predicted: Record<string, number>;
  /** layer: index of the layer that has another arg max than the one before */
  changes: { layer: number; from: number; to: number }[];
  neighbours: (Image & { distance: number })[] | null;
  image: string | null;
}

export interface MapsPayload {
  height: number;
  width: number;
  maps: { name: string; values: Maybe[] | Maybe[][] }[];
  formula?: string;
  total?: number;
}

export interface QuestionRow {
  name: string;
  question: string;
  source: string | null;
  possible: boolean;
  why: string | null;
}

export interface Claim {
  said: string;
  here: string;
  verdict: string;
  source: string | null;
}

export interface QuestionColumn {
  name: string;
  unit: string;
  description: string;
  /** Left out unless asked for. */
  detail: boolean;
}

export interface QuestionPayload {
  name: string;
  question: string;
  source: string | null;
  /** The command that gives the same on a terminal. */
  command?: string;
  claims: Claim[];
  columns: QuestionColumn[];
  rows: (string | number | boolean | null)[][];
  total_rows?: number;
  notes: string[];
  figure: FigureNumbers | null;
  svg: string | null;
  no_figure?: string;
  csv: string | null;
}

export interface Tick {
  at: number;
  label: string;
}

/** ffprobe/analysis/plots/figure_marks.py says what each kind has. */
export interface Mark {
  kind: "line" | "points" | "bars" | "heat" | "band" | "segments" | "rule" | "text";
  label: string;
  colour: string;
  dash?: "solid" | "dashed" | "dotted" | "";
  marker?: string;
  filled?: boolean;
  step?: "pre" | "mid" | "post" | "";
  x?: Maybe[] | Maybe;
  y?: Maybe[] | Maybe;
  xerror?: [Maybe, Maybe][];
  yerror?: [Maybe, Maybe][];
  width?: number[];
  height?: number[];
  colours?: string[];
  z?: Maybe[][];
  zmin?: number;
  zmax?: number;
  /** left, right, bottom, top */
  extent?: [number, number, number, number];
  x0?: number[];
  y0?: number[];
  x1?: number[];
  y1?: number[];
  axis?: "x" | "y";
  at?: number;
  text?: string;
  /** axes: fractions of the axes; axes-x, axes-y: of one of them, the other is data */
  frame?: "data" | "axes" | "axes-x" | "axes-y";
  outline?: boolean;
}

export interface FigureAxes {
  title: string;
  /** left, bottom, width, height as fractions of the figure */
  position: [number, number, number, number];
  xlabel: string;
  ylabel: string;
  xscale: string;
  yscale: string;
  xlim: [number, number];
  ylim: [number, number];
  xticks: Tick[] | null;
  yticks: Tick[] | null;
  marks: Mark[];
}

export interface FigureNumbers {
  /** inches */
  size: [number, number];
  axes: FigureAxes[];
  legend: { label: string; colour: string; dash: string; marker: string }[];
  bars: { label: string; low: number; high: number; colours: string[] }[];
}
