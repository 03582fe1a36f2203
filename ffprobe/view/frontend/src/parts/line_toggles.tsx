/** The legend of line charts: press to show or hide, with Alt or by double-click to see one alone. */

export interface ToggleItem {
  id: string;
  label: string;
  colour: string | null;
}

export function LineToggles({ title, items, off, onChange }: {
  title: string; items: ToggleItem[]; off: ReadonlySet<string>; onChange: (off: Set<string>) => void;
}) {
  const press = (id: string, alone: boolean): void => {
    if (alone) return onChange(new Set(items.map((item) => item.id).filter((other) => other !== id)));
    const next = new Set(off);
    if (!next.delete(id)) next.add(id);
    onChange(next);
  };
  return (
    <fieldset class="toggles">
      <legend>{title}</legend>
      <div class="toggle-all">
        <button type="button" class="quiet" onClick={() => onChange(new Set())} aria-label={`Show all: ${title}`}>all</button>
        <button type="button" class="quiet" onClick={() => onChange(new Set(items.map((i) => i.id)))} aria-label={`Show none: ${title}`}>none</button>
      </div>
      {items.map((item) => (
        <button
          type="button" key={item.id} class="toggle" aria-pressed={!off.has(item.id)} title="Alt or double-click: this one alone"
          onClick={(event) => press(item.id, event.altKey)} onDblClick={() => press(item.id, true)}
        >
          <i style={{ background: item.colour ?? "var(--muted)" }} /><bdi>{item.label}</bdi>
        </button>
      ))}
    </fieldset>
  );
}
