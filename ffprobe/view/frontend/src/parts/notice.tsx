/** What the page shows where there is nothing to show: what it is, and what to do. */

import type { ComponentChildren } from "preact";
import type { Resource } from "../data/resource";

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <div class="empty-hint">{children}</div>}
    </div>
  );
}

/** The state of a payload that has no data yet. */
export function Waiting({ of, what }: { of: Resource<unknown>; what: string }) {
  if (of.problem) return <Empty title={of.problem.error}>{of.problem.hint}</Empty>;
  return <div class="waiting" role="status"><span class="spinner" aria-hidden="true" />{of.working ?? `Loading ${what}`} …</div>;
}
