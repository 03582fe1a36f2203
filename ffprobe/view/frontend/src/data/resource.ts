/** Payloads by address: fetched once, kept, and fetched again when a run that they are about has changed. */

import { useEffect, useReducer, useState } from "preact/hooks";
import { findSource, type Problem } from "./source";

export const source = findSource();

export interface Resource<T> {
  data: T | null;
  problem: Problem | null;
  /** What the server is doing, while it has no answer yet. */
  working: string | null;
}

interface Entry extends Resource<unknown> {
  revision: string;
  fetching: boolean;
}

const KEPT = 400;
const POLL = 500;
const entries = new Map<string, Entry>();
const listeners = new Set<() => void>();
let revisions: Record<string, string | null> = {};
let listVersion = 0;
export let connected = true;

function notify(): void {
  for (const listener of [...listeners]) listener();
}

/** The revisions of the runs that an address names; of all runs for the list. */
function revisionOf(address: string): string {
  const ids = [...address.matchAll(/(?:\/runs\/|[?&]run=)([^/?&]+)/g)].map((match) => match[1]!);
  return ids.length ? ids.map((id) => revisions[id] ?? "").join(",") : String(listVersion);
}

async function load(address: string): Promise<void> {
  const entry = entries.get(address) ?? { data: null, problem: null, working: null, revision: "", fetching: false };
  entries.set(address, entry);
  if (entry.fetching) return;
  entry.fetching = true;
  const revision = revisionOf(address);
  const answer = await source.get<unknown>(address);
  entry.fetching = false;
  if ("working" in answer) {
    entry.working = answer.working;
    window.setTimeout(() => void load(address), POLL);
  } else {
    entry.working = null;
    entry.revision = revision;
    if ("data" in answer) [entry.data, entry.problem] = [answer.data, null];
    else {
      entry.problem = answer.problem;
      if (answer.gone) setConnected(false);
    }
    if (revisionOf(address) !== revision) window.setTimeout(() => void load(address), 0);
  }
  if (entries.size > KEPT) {
    const oldest = entries.keys().next().value;
    if (oldest !== undefined && oldest !== address) entries.delete(oldest);
  }
  notify();
}

function setConnected(yes: boolean): void {
  if (connected === yes) return;
  connected = yes;
  if (yes) for (const entry of entries.values()) if (entry.problem) entry.revision = "again";
  notify();
}

/** Begin to follow the runs; called once. */
export function followRuns(): () => void {
  return source.follow((changed) => {
    revisions = { ...revisions, ...changed };
    listVersion += 1;
    notify();
  }, setConnected);
}

/** The payload at an address; null fetches nothing. */
export function useResource<T>(address: string | null): Resource<T> {
  return useResources<T>(address === null ? [] : [address])[0] ?? { data: null, problem: null, working: null };
}

/** Several payloads at once. Old data stays while new data comes. */
export function useResources<T>(addresses: string[]): Resource<T>[] {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const key = addresses.join("\n");
  useEffect(() => {
    const look = (): void => {
      for (const address of addresses) {
        const entry = entries.get(address);
        if (!entry || (!entry.fetching && !entry.working && entry.revision !== revisionOf(address))) void load(address);
      }
      redraw(0);
    };
    listeners.add(look);
    look();
    return () => void listeners.delete(look);
  }, [key]);
  return addresses.map((address) => (entries.get(address) ?? { data: null, problem: null, working: null }) as Resource<T>);
}

/** Whether the server answers. */
export function useConnected(): boolean {
  const [value, set] = useState(connected);
  useEffect(() => {
    const look = (): void => set(connected);
    listeners.add(look);
    return () => void listeners.delete(look);
  }, []);
  return value;
}
