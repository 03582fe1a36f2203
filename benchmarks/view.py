"""How fast the page of ``ffprobe view`` is in a browser with many runs: ``python -m benchmarks.view``.

A small server sends the page and generated payloads of 20 runs with 17 layers and 400 epochs each, so that the numbers
are those of the page and not of reading files. Chromium and Playwright are needed. Each time is from the event until an
animation frame: the frame in which the control itself has changed, that in which the first chart has, and that in
which all charts on the screen have.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "ffprobe" / "view" / "page"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'"
BY_LAYER = ("validation_accuracy", "loss", "goodness_positive", "goodness_negative", "separation", "weight_norm")
ROOM = "#/compare/curves?runs={}"
SHOWN = "document.querySelectorAll('.chart canvas').length >= 4"
"""All charts on the screen are drawn; the others wait until they are scrolled to."""

AFTER = """([what, value]) => new Promise(done => {
  const target = what.startsWith('[') || what.startsWith('.') || what.startsWith('input')
    ? document.querySelector(what) : [...document.querySelectorAll('button, label.check input')].find(
      one => (one.getAttribute('aria-label') || one.closest('label')?.textContent || one.textContent).trim() === what);
  const begin = performance.now();
  if (value === 'hover') {
    const area = target.querySelector('.u-over'), box = area.getBoundingClientRect();
    const [x, y] = [box.left + box.width / 2 + Math.random() * 80, box.top + box.height / 2];
    const at = {clientX: x, clientY: y, bubbles: true};
    area.dispatchEvent(new MouseEvent('mouseenter', at));
    area.dispatchEvent(new MouseEvent('mousemove', at));
  } else if (value !== null) { target.value = value; target.dispatchEvent(new Event('input', {bubbles: true})); }
  else target.click();
  const times = [];
  const onScreen = [...document.querySelectorAll('.series')].filter(
    one => one.getBoundingClientRect().top < innerHeight && one.getBoundingClientRect().bottom > 0);
  const look = () => {
    const left = onScreen.filter(one => one.getAttribute('aria-busy') === 'true').length;
    const now = performance.now() - begin;
    if (times.length > 1 && left < onScreen.length && times[1] === null) times[1] = now;
    if (times.length === 0) times.push(now, null);
    if (times[1] !== null && left === 0) done([times[0], times[1], now]); else requestAnimationFrame(look);
  };
  requestAnimationFrame(() => requestAnimationFrame(look));
})"""

PARTS = ("control", "first chart", "all charts")


def row(number: int) -> dict[str, Any]:
    """A run in the list."""
    return {
        "id": f"run{number}", "label": f"run-{number}", "path": f"runs/run-{number}.h5", "state": "finished",
        "reason": None, "dataset": "fashion-mnist", "preset": "trifecta", "plugins": {"loss": "symba"},
        "settings": {"training.learning_rate": 0.001 * (1 + number // 5)}, "seed": number % 5, "epochs": 400,
        "planned": 400, "accuracy": 80 + number / 2, "accuracy_of": "test", "age_seconds": 60 * number,
        "wall_time": 1000 + number, "bytes": 10**7, "revision": "1", "group": f"g{number // 5}",
    }  # fmt: skip


def curves(number: int, layers: int, epochs: int) -> dict[str, Any]:
    """Curves of six series by layer and one of the model, with six significant digits as the server sends them."""

    def line(layer: int, name: int) -> list[float]:
        scale = 1 + layer + 0.2 * number
        rise = (1 - math.exp(-epoch / (20 * (1 + name))) for epoch in range(1, epochs + 1))
        return [float(f"{scale * value + 0.05 * math.sin(epoch + layer):.6g}") for epoch, value in enumerate(rise)]

    series = {
        name: {"unit": "", "meaning": name, "by_layer": True, "values": [line(layer, i) for layer in range(layers)]}
        for i, name in enumerate(BY_LAYER)
    }
    model = {"unit": "%", "meaning": "", "by_layer": False, "values": line(layers, 0)}
    names = [str(layer + 1) for layer in range(layers)]
    epoch = list(range(1, epochs + 1))
    return {"epoch": epoch, "layers": names, "series": {**series, "model_validation_accuracy": model}, "steps": None}


def payloads(runs: int, layers: int, epochs: int) -> dict[str, bytes]:
    """The answers of the server by address."""
    rows = [row(number) for number in range(runs)]
    listed = {"runs": rows, "differing": ["training.learning_rate"], "title": "generated"}
    answers: dict[str, Any] = {"/api/runs": listed}
    answers |= {f"/api/runs/{one['id']}/curves": curves(i, layers, epochs) for i, one in enumerate(rows)}
    return {address: json.dumps(answer, separators=(",", ":")).encode() for address, answer in answers.items()}


def serve(answers: dict[str, bytes]) -> ThreadingHTTPServer:
    """A server of the page and the answers on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/") or "index.html"
            file = PAGE / name
            body = answers.get(self.path) or (file.read_bytes() if "/" not in name and file.is_file() else None)
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", TYPES.get(file.suffix, "application/json"))
            self.send_header("Content-Length", str(len(body or b"")))
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def measure(url: str, ids: str, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each thing that a reader waits for."""
    from playwright.sync_api import sync_playwright

    times: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(repeats):
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.goto(url + ROOM.format(ids), wait_until="commit")
            while not page.evaluate(SHOWN):
                page.wait_for_timeout(10)
            paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            times.setdefault("first paint", []).append(paint)
            times.setdefault("charts on the screen drawn", []).append(page.evaluate("performance.now()"))
            page.wait_for_timeout(500)
            steps = [
                ("hide a run (20 lines)", "run-3", None), ("show all 340 lines", "Show all: Layers", None),
                ("hide a layer (340 lines)", "Layer 3", None), ("hide a run (340 lines)", "run-5", None),
                ("read a value (340 lines)", "[aria-label^=Loss]", "hover"),
                ("read the next value (340 lines)", "[aria-label^=Loss]", "hover"),
                ("smooth 340 lines", "input[type=range]", "0.5"), ("log scale of 340 lines", "Log scale", None),
            ]  # fmt: skip
            for name, what, value in steps:
                for part, time in zip(PARTS, page.evaluate(AFTER, [what, value]), strict=True):
                    times.setdefault(f"{name}: {part}", []).append(time)
                page.wait_for_timeout(300)
            page.close()
        browser.close()
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("runs", 20), ("layers", 17), ("epochs", 400), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    answers = payloads(options.runs, options.layers, options.epochs)
    print(f"{options.runs} runs, {options.layers} layers, {options.epochs} epochs")
    print(f"{sum(map(len, answers.values())) / 1e6:.1f} MB of JSON in {len(answers)} answers")
    server = serve(answers)
    ids = ",".join(f"run{number}" for number in range(options.runs))
    times = measure(f"http://127.0.0.1:{server.server_port}/", ids, options.repeats)
    for name, values in times.items():
        print(f"{name:46} {statistics.median(values):7.0f} ms  ({min(values):.0f} to {max(values):.0f})")
    server.shutdown()


if __name__ == "__main__":
    main()
