/** Light or dark: as the system, or as chosen here. */

import { useEffect, useState } from "preact/hooks";

export type Theme = "light" | "dark";
const KEY = "ffprobe-theme";
const query = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let chosen: Theme | null = null;

function stored(): Theme | null {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : null;
  } catch {
    return null; // a report that is opened from the disk may have no storage
  }
}

export function theme(): Theme {
  return chosen ?? (query.matches ? "dark" : "light");
}

function apply(): void {
  document.documentElement.dataset.theme = theme();
  for (const listener of [...listeners]) listener();
}

export function startTheme(): void {
  chosen = stored();
  query.addEventListener("change", apply);
  apply();
}

export function toggleTheme(): void {
  chosen = theme() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // kept for this page only
  }
  apply();
}

/** Redraws when the theme changes; charts on a canvas need its colours. */
export function useTheme(): Theme {
  const [value, set] = useState(theme());
  useEffect(() => {
    const look = (): void => set(theme());
    listeners.add(look);
    return () => void listeners.delete(look);
  }, []);
  return value;
}
