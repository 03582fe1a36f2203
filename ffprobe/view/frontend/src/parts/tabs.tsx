/** Links to the rooms of a run. */

import { title } from "../data/format";

export function Tabs({ rooms, now, to }: { rooms: string[]; now: string; to: (room: string) => string }) {
  return (
    <nav class="tabs" aria-label="Rooms">
      {rooms.map((room) => <a key={room} href={to(room)} aria-current={room === now ? "page" : undefined}>{title(room)}</a>)}
    </nav>
  );
}
