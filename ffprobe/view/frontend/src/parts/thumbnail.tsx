/** A small image that leads to everything about it; its number where its pixels were not recorded. */

import type { Image } from "../data/api";
import { source } from "../data/resource";
import { address } from "../data/route";

export function Thumbnail({ id, image, labels, note, mark }: { id: string; image: Image; labels: string[]; note?: string; mark?: "right" | "wrong" }) {
  const name = typeof image.true === "number" ? (labels[image.true] ?? String(image.true)) : "";
  const pixels = image.image && source.image(image.image);
  const inside = (
    <>
      {pixels ? <img src={pixels} alt={`${image.part} image ${image.sample}`} loading="lazy" /> : <span class="no-image">#{image.sample}</span>}
      <span class="thumb-text"><bdi>{name}</bdi>{note && <small>{note}</small>}</span>
    </>
  );
  const kind = mark ? `thumb ${mark}` : "thumb";
  if (image.part === "training") return <span class={kind}>{inside}</span>;
  return <a class={kind} href={address(["run", id, "sample", image.part, image.sample])}>{inside}</a>;
}
