/** A table that sorts by any column, scrolls in its own frame and can be saved. */

import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { saveCsv } from "../data/download";
import { MISSING, number } from "../data/format";

export type Cell = string | number | boolean | null | undefined;

export interface TableColumn<R> {
  name: string;
  title: string;
  description?: string;
  value: (row: R) => Cell;
  show?: (row: R) => ComponentChildren;
  numeric?: boolean;
  /** Not sorted and not saved: a check box, say. */
  plain?: boolean;
}

interface Props<R> {
  name: string;
  caption: string;
  columns: TableColumn<R>[];
  rows: R[];
  rowKey: (row: R, index: number) => string;
  sort?: { column: string; down: boolean } | null;
  selected?: (row: R) => boolean;
  groupOf?: ((row: R) => string) | null;
}

const FIRST = 200;

export function compareCells(a: Cell, b: Cell): number {
  const [missingA, missingB] = [a === null || a === undefined || a === "", b === null || b === undefined || b === ""];
  if (missingA || missingB) return Number(missingA) - Number(missingB);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

export function DataTable<R>({ name, caption, columns, rows, rowKey, sort: first = null, selected, groupOf }: Props<R>) {
  const [sort, setSort] = useState(first);
  const [all, setAll] = useState(false);
  const sorted = useMemo(() => {
    const column = columns.find((c) => c.name === sort?.column);
    const list = [...rows];
    if (column && sort) {
      list.sort((a, b) => {
        const [va, vb] = [column.value(a), column.value(b)];
        const order = compareCells(va, vb);
        const missing = va === null || va === undefined || vb === null || vb === undefined; // always at the end
        return sort.down && !missing ? -order : order;
      });
    }
    if (groupOf) {
      const places = [...new Set(list.map(groupOf))];
      list.sort((a, b) => places.indexOf(groupOf(a)) - places.indexOf(groupOf(b)));
    }
    return list;
  }, [rows, columns, sort, groupOf]);
  const shown = all ? sorted : sorted.slice(0, FIRST);
  const press = (column: TableColumn<R>): void =>
    setSort(sort?.column !== column.name ? { column: column.name, down: !!column.numeric } : { column: column.name, down: !sort.down });
  const csv = (): void => {
    const kept = columns.filter((c) => !c.plain);
    saveCsv(name, kept.map((c) => c.title), sorted.map((row) => kept.map((c) => c.value(row))));
  };
  let group: string | null = null;
  return (
    <div class="table-box">
      <div class="table-scroll" role="region" aria-label={caption} tabIndex={0}>
        <table>
          <caption class="hidden">{caption}</caption>
          <thead>
            <tr>
              {columns.map((column) => {
                const on = sort?.column === column.name;
                const order = on ? (sort.down ? "descending" : "ascending") : undefined;
                return (
                  <th key={column.name} scope="col" class={column.numeric ? "num" : ""} aria-sort={order} title={column.description}>
                    {column.plain ? <span class="hidden">{column.title}</span> : (
                      <button type="button" onClick={() => press(column)}>
                        {column.title}<span aria-hidden="true" class="arrow">{on ? (sort.down ? "▼" : "▲") : ""}</span>
                      </button>
                    )}
                  </th>
                );
              })}
            </tr>
          </thead>
          <tbody>
            {shown.map((row, i) => {
              const own = groupOf?.(row) ?? null;
              const head = groupOf && own !== group;
              group = own;
              return [
                head && <tr class="group" key={`g${own}`}><th colSpan={columns.length} scope="colgroup">{own}</th></tr>,
                <tr key={rowKey(row, i)} class={selected?.(row) ? "on" : ""}>
                  {columns.map((column) => (
                    <td key={column.name} class={column.numeric ? "num" : ""}>
                      {column.show ? column.show(row) : text(column.value(row))}
                    </td>
                  ))}
                </tr>,
              ];
            })}
          </tbody>
        </table>
      </div>
      <div class="table-foot">
        <span>{rows.length} {rows.length === 1 ? "row" : "rows"}</span>
        {sorted.length > shown.length && <button type="button" onClick={() => setAll(true)}>Show all {sorted.length} rows</button>}
        <span class="spring" />
        <button type="button" class="quiet" onClick={csv}>Save CSV</button>
      </div>
    </div>
  );
}

export function text(value: Cell): string {
  if (value === null || value === undefined || value === "") return MISSING;
  if (typeof value === "number") return number(value);
  return typeof value === "boolean" ? (value ? "yes" : "no") : value;
}
