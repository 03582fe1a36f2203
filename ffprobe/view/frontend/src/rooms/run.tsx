/** One run: its head and its rooms. */

import type { Row, RunPayload } from "../data/api";
import { duration, percent } from "../data/format";
import { useResource } from "../data/resource";
import { address, type Route } from "../data/route";
import { Empty, Waiting } from "../parts/notice";
import { StateBadge } from "../parts/state_badge";
import { Tabs } from "../parts/tabs";
import { Curves } from "./curves";
import { Layers } from "./layers";
import { Overview } from "./overview";
import { Questions } from "./questions";
import { Sample } from "./sample";
import { Samples } from "./samples";

const ROOMS = ["overview", "curves", "layers", "samples", "questions"];

export function Run({ id, route, runs, main }: { id: string; route: Route; runs: Row[]; main: string[] }) {
  const run = useResource<RunPayload>(`/api/runs/${id}`);
  const listed = runs.find((row) => row.id === id);
  const row = listed ?? run.data?.row;
  if (!row) {
    return run.problem ? <Empty title="There is no such run."><a href={address(["runs"])}>See the list of runs</a></Empty> : <Waiting of={run} what="the run" />;
  }
  const room = route.parts[2] === "sample" ? "samples" : (route.parts[2] ?? "overview");
  const depth = run.data?.layers.length ?? 0;
  return (
    <section aria-labelledby="run-title">
      <nav class="crumbs" aria-label="Place"><a href={address(["runs"])}>Runs</a></nav>
      <div class="room-head">
        <h1 id="run-title"><bdi>{row.label}</bdi></h1>
        <StateBadge row={row} />
        <span class="counts">
          {[row.preset, row.dataset, depth ? `${depth} layers` : "", `${row.epochs}${row.planned ? ` of ${row.planned}` : ""} epochs`,
            row.accuracy === null ? "" : `${percent(row.accuracy)}${row.accuracy_of ? ` (${row.accuracy_of})` : ""}`, row.wall_time ? duration(row.wall_time) : ""]
            .filter(Boolean).join(" · ")}
        </span>
      </div>
      {row.reason && <p class="reason">{row.reason}</p>}
      <Tabs rooms={ROOMS} now={room} to={(name) => address(["run", id, name])} />
      {row.state === "unreadable" ? <Empty title="This file cannot be read.">{row.reason}</Empty>
        : room === "curves" ? <Curves runs={[row]} />
        : room === "layers" ? <Layers row={row} run={run} route={route} />
        : room === "questions" ? <Questions runs={[row]} route={route} base={["run", id, "questions"]} />
        : route.parts[2] === "sample" ? <Sample row={row} run={run.data} route={route} />
        : room === "samples" ? <Samples row={row} run={run} route={route} />
        : <Overview row={row} run={run} main={main} />}
    </section>
  );
}
