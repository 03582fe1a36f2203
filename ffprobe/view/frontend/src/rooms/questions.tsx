/** Every analysis as a panel: its question, text, verdicts, table and figure. */

import { useMemo, useState } from "preact/hooks";
import type { Claim, QuestionPayload, QuestionRow, Row } from "../data/api";
import { saveText } from "../data/download";
import { title } from "../data/format";
import { useResource } from "../data/resource";
import { address, type Route } from "../data/route";
import { Figure } from "../charts/figure";
import { Check } from "../parts/choice";
import { DataTable, type Cell, type TableColumn } from "../parts/data_table";
import { Empty, Waiting } from "../parts/notice";

export function Questions({ runs, route, base }: { runs: Row[]; route: Route; base: string[] }) {
  const query = runs.map((row) => `run=${row.id}`).join("&");
  const list = useResource<QuestionRow[]>(`/api/questions?${query}`);
  const [filter, setFilter] = useState("");
  if (!list.data) return <Waiting of={list} what="the questions" />;
  const rows = list.data.filter((row) => `${row.name} ${row.question}`.toLowerCase().includes(filter.toLowerCase()));
  const asked = route.parts[base.length];
  const chosen = list.data.find((row) => row.name === asked) ?? list.data.find((row) => row.possible);
  const possible = rows.filter((row) => row.possible);
  const not = rows.filter((row) => !row.possible);
  const link = (row: QuestionRow): string => address([...base, row.name], Object.fromEntries(route.query));
  return (
    <div class="with-side questions">
      <nav class="side" aria-label="Questions">
        <label class="control"><span class="hidden">Filter questions</span><input type="search" placeholder="Filter questions …" value={filter} onInput={(e) => setFilter(e.currentTarget.value)} /></label>
        <ul class="plain question-list">
          {possible.map((row) => <li key={row.name}><a href={link(row)} aria-current={row === chosen ? "page" : undefined}><b>{title(row.name.replaceAll("-", " "))}</b><span>{row.question}</span></a></li>)}
        </ul>
        {not.length > 0 && (
          <details>
            <summary>{not.length} not possible for {runs.length > 1 ? "these runs" : "this run"}</summary>
            <ul class="plain question-list">{not.map((row) => <li key={row.name}><span class="off"><b>{title(row.name.replaceAll("-", " "))}</b><span>{row.why}</span></span></li>)}</ul>
          </details>
        )}
      </nav>
      <div class="content">
        {chosen?.possible ? <Question key={chosen.name} row={chosen} query={query} />
          : chosen ? <Empty title="This question cannot be asked here.">{chosen.why}</Empty>
          : <Empty title="No question can be asked yet.">Analyses need a run that is finished or has been evaluated.</Empty>}
      </div>
    </div>
  );
}

function Question({ row, query }: { row: QuestionRow; query: string }) {
  const found = useResource<QuestionPayload>(`/api/questions/${encodeURIComponent(row.name)}?${query}`);
  const data = found.data;
  return (
    <article aria-labelledby="question-title">
      <h2 id="question-title">{data?.question ?? row.question}</h2>
      {row.source && <p class="source">{row.source}</p>}
      {data ? <Answered name={row.name} data={data} /> : <Waiting of={found} what="the analysis" />}
    </article>
  );
}

function Answered({ name, data }: { name: string; data: QuestionPayload }) {
  const [all, setAll] = useState(false);
  const columns = useMemo(() => tableColumns(data, all), [data, all]);
  const details = data.columns.some((column) => column.detail);
  return (
    <div class="stack">
      {data.claims.length > 0 && <ul class="claims">{data.claims.map((claim, i) => <ClaimPanel key={i} claim={claim} />)}</ul>}
      {data.figure ? <Figure name={name} title={data.question} figure={data.figure} />
        : data.svg ? <img class="static-figure" src={data.svg} alt={`Figure: ${data.question}`} />
        : data.no_figure ? <p class="note">{data.no_figure}</p> : null}
      {data.notes.length > 0 && <ul class="notes">{data.notes.map((note, i) => <li key={i}>{note}</li>)}</ul>}
      {details && <Check label="All columns" checked={all} onChange={setAll} />}
      {data.rows.length > 0 ? (
        <DataTable key={String(all)} name={name} caption={`Table: ${data.question}`} columns={columns} rows={data.rows} rowKey={(_, i) => String(i)} />
      ) : <Empty title="The table has no rows." />}
      {(data.total_rows ?? 0) > data.rows.length && <p class="note">These are {data.rows.length} of {data.total_rows} rows; the command below writes all.</p>}
      <div class="toolbar">
        {data.csv && <button type="button" class="quiet" onClick={() => saveText(`${name}.csv`, data.csv!, "text/csv")}>Save all digits as CSV</button>}
        {data.svg && <a class="quiet-link" href={data.svg} download={`${name}-static.svg`}>Save the static figure</a>}
      </div>
      {data.command && <pre tabIndex={0} aria-label="The same on a terminal">{data.command}</pre>}
    </div>
  );
}

const MARKS: Record<string, string> = { agrees: "✓", differs: "✗", inconclusive: "?" };

function ClaimPanel({ claim }: { claim: Claim }) {
  return (
    <li class={`claim ${claim.verdict.replaceAll(" ", "-")}`}>
      <span class="claim-verdict"><span aria-hidden="true">{MARKS[claim.verdict] ?? "–"}</span> {claim.verdict}</span>
      <p><b>{claim.source}</b> {claim.said}</p>
      <p><b>Here</b> {claim.here}</p>
    </li>
  );
}

function tableColumns(data: QuestionPayload, all: boolean): TableColumn<Cell[]>[] {
  return data.columns.map((column, i) => ({
    name: column.name,
    title: `${column.name.replaceAll("_", " ")}${column.unit && column.unit !== "1" ? ` (${column.unit})` : ""}`,
    description: column.description,
    numeric: data.rows.some((row) => typeof row[i] === "number"),
    value: (row: Cell[]) => row[i],
    detail: column.detail,
  })).filter((column) => all || !column.detail);
}
