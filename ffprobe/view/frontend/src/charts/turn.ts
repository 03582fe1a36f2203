/** Charts take turns: those on the screen first, a few in each frame, so that the page answers while many lines are drawn. */

import { useEffect, useRef, useState } from "preact/hooks";

const LINES_EACH_FRAME = 120;

interface Request {
  weight: number;
  run: () => void;
}

const queue = new Map<object, Request>();
let frame = 0;

function serve(): void {
  frame = 0;
  let drawn = 0;
  for (const [who, { weight, run }] of [...queue]) {
    if (drawn > 0 && drawn + weight > LINES_EACH_FRAME) break;
    queue.delete(who);
    drawn += weight;
    run();
  }
  if (queue.size) frame = requestAnimationFrame(serve);
}

/**
 * The value that a chart has got its turn to draw: null before the first turn, and the one before while it waits.
 * What is not on the screen waits until it is.
 */
export function useTurn<T>(value: T, weight: number): { granted: T | null; box: { current: HTMLDivElement | null } } {
  const [granted, grant] = useState<{ value: T } | null>(null);
  const [seen, setSeen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const who = useRef({});
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => setSeen(entry!.isIntersecting), { rootMargin: "50px" });
    observer.observe(box.current!);
    return () => {
      observer.disconnect();
      queue.delete(who.current);
    };
  }, []);
  useEffect(() => {
    if (!seen || granted?.value === value) return;
    queue.set(who.current, { weight, run: () => grant({ value }) });
    if (!frame) frame = requestAnimationFrame(serve);
  }, [value, seen, granted]);
  return { granted: granted?.value ?? null, box };
}
