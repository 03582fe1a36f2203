import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { defineConfig, type Plugin } from "vite";

const ROOT = import.meta.dirname;
const PAGE = join(ROOT, "../page");

/** The files that the page is made from; tests/view/browser/test_page_is_fresh.py lists the same. */
function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** SHA-256 over "name NUL content NUL" of every source in the order of the names. */
function sourceHash(): string {
  const files = [
    ...sources(join(ROOT, "src")),
    ...["index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts"].map((f) => join(ROOT, f)),
  ].map((path) => ({ path, name: relative(ROOT, path).split(sep).join("/") }));
  const hash = createHash("sha256");
  for (const { path, name } of files.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    hash.update(name + "\0").update(readFileSync(path)).update("\0");
  }
  return hash.digest("hex");
}

/** Writes licenses.txt (the notices of all that is bundled) and source.sha256 (a stale page fails a test). */
function notices(): Plugin {
  return {
    name: "ffprobe-notices",
    generateBundle(_, bundle) {
      const packages = new Set<string>();
      for (const chunk of Object.values(bundle)) {
        if (chunk.type !== "chunk") continue;
        for (const id of chunk.moduleIds) {
          const match = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id.split(sep).join("/"));
          if (match?.[1]) packages.add(match[1]);
        }
      }
      const texts = [...packages].sort().map((name) => {
        const folder = join(ROOT, "node_modules", name);
        const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, string>;
        const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
        if (!file) throw new Error(`${name} has no license file`);
        return `${name} ${about.version} (${about.license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
      });
      const rule = "\n" + "-".repeat(80) + "\n\n";
      writeFileSync(join(PAGE, "licenses.txt"), `Libraries in app.js and app.css\n${rule}${texts.join(rule)}`);
      writeFileSync(join(PAGE, "source.sha256"), sourceHash() + "\n");
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [notices()],
  build: {
    outDir: PAGE,
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
    rollupOptions: {
      output: { entryFileNames: "app.js", assetFileNames: "app[extname]" },
    },
  },
});
