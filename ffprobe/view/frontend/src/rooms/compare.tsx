/** Several runs side by side. */

import type { Row, RunsPayload } from "../data/api";
import { address, type Route } from "../data/route";
import { Empty } from "../parts/notice";
import { Tabs } from "../parts/tabs";
import { CompareOverview } from "./compare_overview";
import { Curves } from "./curves";
import { Questions } from "./questions";
import { Sweep } from "./sweep";

const ROOMS = ["overview", "curves", "sweep", "questions"];

export function Compare({ route, runs }: { route: Route; runs: RunsPayload }) {
  const ids = (route.query.get("runs") ?? "").split(",").filter(Boolean);
  const rows = ids.map((id) => runs.runs.find((row) => row.id === id)).filter((row): row is Row => !!row);
  const room = route.parts[1] ?? "overview";
  const list = ids.join(",");
  return (
    <section aria-labelledby="compare-title">
      <nav class="crumbs" aria-label="Place"><a href={address(["runs"])}>Runs</a></nav>
      <div class="room-head">
        <h1 id="compare-title">{rows.length} runs compared</h1>
        {rows.length < ids.length && <span class="counts">{ids.length - rows.length} more are not there any more</span>}
      </div>
      {rows.length === 0 ? (
        <Empty title="No runs are selected."><a href={address(["runs"])}>Select some in the list of runs</a></Empty>
      ) : (
        <>
          <Tabs rooms={ROOMS} now={room} to={(name) => address(["compare", name], { runs: list })} />
          {room === "curves" ? <Curves runs={rows} />
            : room === "sweep" ? <Sweep runs={rows} differing={runs.differing} />
            : room === "questions" ? <Questions runs={rows} route={route} base={["compare", "questions"]} />
            : <CompareOverview runs={rows} differing={runs.differing} main={runs.findings ?? []} />}
        </>
      )}
    </section>
  );
}
