/** A button that opens a few commands. */

import { useEffect, useRef, useState } from "preact/hooks";

export interface MenuItem {
  name: string;
  run: () => void;
}

export function Menu({ label, text, items }: { label: string; text: string; items: MenuItem[] }) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event): void => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
    };
  }, [open]);
  const key = (event: KeyboardEvent): void => {
    if (event.key !== "Escape") return;
    setOpen(false);
    box.current?.querySelector("button")?.focus();
  };
  return (
    <div class="menu" ref={box} onKeyDown={key}>
      <button type="button" class="quiet" aria-label={label} aria-expanded={open} title={label} onClick={() => setOpen(!open)}>
        {text}
      </button>
      {open && (
        <div class="menu-items">
          {items.map((item) => (
            <button type="button" key={item.name} onClick={() => { setOpen(false); item.run(); }}>{item.name}</button>
          ))}
        </div>
      )}
    </div>
  );
}
