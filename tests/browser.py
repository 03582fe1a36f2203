"""A real browser without a window, and what it finds on a page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

CHECKS = """
addEventListener("load", () => {
  const all = selector => [...document.querySelectorAll(selector)];
  const luminance = rgb => { const [r, g, b] = rgb.map(v => v / 255).map(
    v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const ground = element => { for (let e = element; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c.slice(0, 3); }
    return [255, 255, 255]; };
  const contrasts = all("body *").filter(e => e.tagName !== "SCRIPT"
    && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).map(e => {
      const [a, b] = [parse(getComputedStyle(e).color).slice(0, 3), ground(e)].map(luminance).sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), e.tagName + "." + e.className + " " + e.textContent.trim().slice(0, 30)]; });
  const ids = all("[id]").map(e => e.id);
  const named = e => e.getAttribute("aria-label") || (e.getAttribute("aria-labelledby") || "").split(" ").map(
    id => (document.getElementById(id) || {}).textContent || "").join("");
  const inside = e => all("main, header, nav, footer, .skip").some(l => l.contains(e));
  parent.postMessage(JSON.stringify({
    errors: window.pageErrors, requests: performance.getEntriesByType("resource").map(r => r.name),
    lang: document.documentElement.lang, title: document.title, h1: all("h1").map(e => e.textContent),
    headings: all("h1, h2, h3, h4, h5, h6").map(e => Number(e.tagName[1])),
    duplicates: ids.filter((id, i) => ids.indexOf(id) !== i),
    links: all("a[href^='#']").filter(e => !document.getElementById(e.getAttribute("href").slice(1))).length,
    tables: all("table").length, bare: all("table").filter(t => !t.caption || !t.caption.textContent.trim()
      || [...t.querySelectorAll("th")].some(h => !h.scope)).length,
    rows: all("article table").map(t => t.tBodies[0].rows.length),
    figures: all("figure img").map(e => ({alt: e.alt, type: e.src.split(";")[0], natural: e.naturalWidth,
      ratio: e.naturalWidth / e.naturalHeight, width: e.getBoundingClientRect().width,
      height: e.getBoundingClientRect().height, ground: ground(e.parentElement)})),
    unnamed: all("[role=region], nav, section, article").filter(e => !named(e).trim()).length
      + all("img").filter(e => !e.alt.trim()).length,
    unfocusable: all("[role=region]").filter(e => e.scrollWidth > e.clientWidth && e.tabIndex < 0).length,
    outside: all("body > *, #static > *").filter(e => e.id !== "static" && !inside(e)
      && e.tagName !== "SCRIPT").map(e => e.tagName),
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    ground: getComputedStyle(document.body).backgroundColor,
    contrasts: contrasts.sort((a, b) => a[0] - b[0]).slice(0, 3),
    scripts: all("script").length, text: document.body.innerText,
  }), "*");
});
"""


def find_browser() -> str:
    """The path of a Chromium; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser on the PATH: {', '.join(NAMES)}")
    return found


def browse(page: Path, folder: Path, *, dump: bool = True, dark: bool = False, extra: tuple[str, ...] = ()) -> Any:
    """Load a page; returns (DOM, what the console said)."""
    command = [find_browser(), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    command += [f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--window-size=1400,1000"]
    command += [f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += [*extra, *(["--dump-dom"] if dump else []), page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, console


def inspect(html: str, folder: Path, *, width: int = 1200, dark: bool = False) -> dict[str, Any]:
    """What a browser finds on the page at this width, by name (see ``CHECKS``).

    The page is looked at from inside, in a frame, by a script that its own policy would not let run; the policy is
    taken out of the copy for that, and tested by ``browse`` on the page itself.
    """
    policy = r'<meta http-equiv="Content-Security-Policy"[^>]*>'
    assert len(re.findall(policy, html)) == 1
    catch = "addEventListener('error', e => pageErrors.push(String(e.message || e.target.src)), true);"
    catch = f"window.pageErrors = []; {catch}"
    inner = re.sub(policy, lambda _: f"<script>{catch}</script><script>{CHECKS}</script>", html)
    (folder / "inner.html").write_text(inner, encoding="utf-8")
    outer = folder / "outer.html"
    frame = f'<iframe src="inner.html" style="width:{width}px;height:900px;border:0"></iframe><pre id="found"></pre>'
    listen = "addEventListener('message', e => document.getElementById('found').textContent = e.data)"
    outer.write_text(f"<!doctype html><body><script>{listen}</script>{frame}", encoding="utf-8")
    dom, _ = browse(outer, folder, dark=dark, extra=("--virtual-time-budget=4000",))
    from html import unescape

    text = unescape(re.findall(r'<pre id="found">(.*?)</pre>', dom, re.S)[0])
    assert text, "the page never finished loading"
    found: dict[str, Any] = json.loads(text)
    return found
