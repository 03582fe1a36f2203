/** Small controls with a label. */

import type { ComponentChildren } from "preact";

export function Select({ label, value, options, onChange }: {
  label: string; value: string; options: { value: string; text: string }[]; onChange: (value: string) => void;
}) {
  return (
    <label class="control">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map((option) => <option key={option.value} value={option.value}>{option.text}</option>)}
      </select>
    </label>
  );
}

export function Check({ label, checked, onChange }: { label: ComponentChildren; checked: boolean; onChange: (on: boolean) => void }) {
  return (
    <label class="control check">
      <input type="checkbox" checked={checked} onChange={(event) => onChange(event.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}

export function Range({ label, value, min, max, step, shown, onChange }: {
  label: string; value: number; min: number; max: number; step: number; shown: string; onChange: (value: number) => void;
}) {
  return (
    <label class="control">
      <span>{label}</span>
      <input type="range" min={min} max={max} step={step} value={value} aria-valuetext={shown}
        onInput={(event) => onChange(Number(event.currentTarget.value))} />
      <output>{shown}</output>
    </label>
  );
}
