/** What was run, how accurate each layer is, and what looks broken. */

import type { CurvesPayload, Row, RunPayload } from "../data/api";
import { bytes, duration, MISSING, percent, setting } from "../data/format";
import { useResource, type Resource } from "../data/resource";
import { address } from "../data/route";
import { Waiting } from "../parts/notice";
import { AccuracyByLayer } from "./accuracy_by_layer";

export function Overview({ row, run, main }: { row: Row; run: Resource<RunPayload>; main: string[] }) {
  const curves = useResource<CurvesPayload>(`/api/runs/${row.id}/curves`);
  const data = run.data;
  const facts: [string, string][] = [
    ["Preset", row.preset ?? MISSING], ["Dataset", row.dataset ?? MISSING], ["Seed", setting(row.seed)],
    ["Epochs", `${row.epochs}${row.planned ? ` of ${row.planned}` : ""}`],
    ["Accuracy", `${percent(row.accuracy)}${row.accuracy !== null && row.accuracy_of ? ` (${row.accuracy_of})` : ""}`],
    ["Time", duration(row.wall_time)], ["File", `${row.path} (${bytes(row.bytes)})`],
    ...Object.entries(row.plugins).filter(([slot]) => slot !== "dataset").map(([slot, name]): [string, string] => [slot, name]),
  ];
  return (
    <div class="columns">
      <div class="column">
        <section class="panel" aria-labelledby="findings-title">
          <h2 id="findings-title">Findings</h2>
          {main.length > 0 && <ol class="main-findings">{main.map((text, i) => <li key={i}>{text}</li>)}</ol>}
          {main.length > 0 ? null : data ? <Findings list={data.findings} running={row.state === "running"} /> : <Waiting of={run} what="the findings" />}
        </section>
        <section class="panel">
          <h2>Accuracy of each layer alone</h2>
          {curves.data ? <AccuracyByLayer runs={[row]} curves={[curves.data]} /> : <Waiting of={curves} what="the curves" />}
          <p class="note"><a href={address(["run", row.id, "curves"])}>All curves</a> · <a href={address(["run", row.id, "layers"])}>The network</a></p>
        </section>
        {data && data.log.length > 0 && (
          <section class="panel">
            <h2>Log</h2>
            <ol class="log" tabIndex={0} aria-label="Log">{data.log.toReversed().slice(0, 200).map((entry, i) => <li key={i}><span class="num">{entry.step ?? ""}</span> {entry.message}</li>)}</ol>
          </section>
        )}
      </div>
      <div class="column narrow">
        <section class="panel">
          <h2>What was run</h2>
          <dl class="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd><bdi>{value}</bdi></dd></div>)}</dl>
        </section>
        {data && (
          <section class="panel">
            <h2>Command and environment</h2>
            {data.command && <pre tabIndex={0} aria-label="Command">{data.command}</pre>}
            <dl class="facts">{data.environment.map(([name, value]) => <div key={name}><dt>{name.replaceAll("_", " ")}</dt><dd><bdi>{setting(value)}</bdi></dd></div>)}</dl>
            <details><summary>All settings</summary><pre tabIndex={0} aria-label="All settings">{data.config}</pre></details>
          </section>
        )}
      </div>
    </div>
  );
}

export function Findings({ list, running }: { list: RunPayload["findings"]; running: boolean }) {
  if (!list.length) return <p class="finding ok"><span aria-hidden="true">✓</span> Nothing looks broken{running ? " so far" : ""}.</p>;
  return (
    <ul class="findings">
      {list.slice(0, 5).map((finding, i) => <li class={`finding ${finding.level}`} key={i}><span aria-hidden="true">!</span><span>{finding.text}</span></li>)}
    </ul>
  );
}
