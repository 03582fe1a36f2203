/** The frame of all rooms: where the reader is, whether the server answers, light or dark. */

import { useEffect, useRef } from "preact/hooks";
import type { RunsPayload } from "../data/api";
import { source, useConnected, useResource } from "../data/resource";
import { address, useRoute } from "../data/route";
import { toggleTheme, useTheme } from "../data/theme";
import { Waiting } from "../parts/notice";
import { Compare } from "./compare";
import { Run } from "./run";
import { Runs } from "./runs";

export function Shell() {
  const route = useRoute();
  const runs = useResource<RunsPayload>("/api/runs");
  const connected = useConnected();
  const theme = useTheme();
  const main = useRef<HTMLElement>(null);
  const place = route.parts.join("/");
  const rows = runs.data?.runs ?? [];
  const row = rows.find((r) => r.id === route.parts[1]);
  const here = route.parts[0] === "run" ? (row?.label ?? "run") : route.parts[0] === "compare" ? "comparison" : "runs";
  useEffect(() => {
    if (source.live || route.parts.length || !rows.length) return;
    location.replace(rows.length === 1 ? address(["run", rows[0]!.id]) : address(["compare"], { runs: rows.map((r) => r.id).join(",") }));
  }, [rows.length, place]);
  useEffect(() => {
    document.title = `${here} · ffprobe`;
    if (place) window.scrollTo(0, 0);
  }, [here, place]);

  let room = <Waiting of={runs} what="the runs" />;
  if (runs.data) {
    if (route.parts[0] === "run") room = <Run key={route.parts[1]} id={route.parts[1] ?? ""} route={route} runs={rows} main={rows.length === 1 ? (runs.data.findings ?? []) : []} />;
    else if (route.parts[0] === "compare") room = <Compare route={route} runs={runs.data} />;
    else room = <Runs payload={runs.data} />;
  }
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to the content</a>
      <header class="top">
        <a class="brand" href={address(["runs"])}><Logo /> ffprobe</a>
        {runs.data?.title && <span class="top-title"><bdi>{runs.data.title}</bdi></span>}
        <span class="spring" />
        <Connection connected={connected} />
        <button type="button" class="quiet" onClick={toggleTheme} aria-label={theme === "dark" ? "Switch to light mode" : "Switch to dark mode"}>
          {theme === "dark" ? "☀" : "☾"}
        </button>
      </header>
      {source.live && !connected && (
        <div class="stopped" role="alert">
          <b>The server has stopped.</b> The page shows what it received last. Start <code>ffprobe view</code> again and open the address
          that it prints.
        </div>
      )}
      <main id="main" ref={main} tabIndex={-1}>{room}</main>
    </>
  );
}

function Connection({ connected }: { connected: boolean }) {
  if (!source.live) return <span class="live">report</span>;
  return <span class={connected ? "live on" : "live off"} role="status"><i aria-hidden="true" />{connected ? "live" : "stopped"}</span>;
}

function Logo() {
  return (
    <svg width="18" height="18" viewBox="0 0 18 18" aria-hidden="true">
      <rect x="2" y="12" width="14" height="4" rx="1" opacity=".45" />
      <rect x="2" y="7" width="14" height="4" rx="1" opacity=".7" />
      <rect x="2" y="2" width="14" height="4" rx="1" />
    </svg>
  );
}
