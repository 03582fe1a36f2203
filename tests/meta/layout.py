"""Print how the code is laid out: ``python tests/meta/layout.py [PATH_OF_A_CHECKOUT]``.

Modules that lie loose beside the packages, packages, lines, and circles: groups of modules that import one another,
imports for type checkers included.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import networkx


def modules(root: Path) -> dict[str, Path]:
    """Every module of ``ffprobe`` by its dotted name; templates are no modules."""
    paths = [path for path in (root / "ffprobe").rglob("*.py") if "template" not in path.parts]
    names = {path: ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in paths}
    return {name: path for path, name in names.items()}


def circles(root: Path) -> list[list[str]]:
    """Groups of modules that import one another, each sorted; the package's own ``__init__`` is left out."""
    known = modules(root)
    graph = networkx.DiGraph()
    for name, path in known.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                targets = [f"{node.module}.{alias.name}" for alias in node.names]
                graph.add_edges_from((name, target if target in known else node.module) for target in targets)
    graph.remove_nodes_from([node for node in graph if node not in known or node == "ffprobe"])
    return sorted(sorted(group) for group in networkx.strongly_connected_components(graph) if len(group) > 1)


def loose(root: Path) -> list[str]:
    """Modules that lie directly in ``ffprobe/``."""
    return sorted(path.name for path in (root / "ffprobe").glob("*.py"))


def report(root: Path) -> str:
    known = modules(root)
    lines = sum(len(path.read_text().splitlines()) for path in known.values())
    packages = sum(path.name == "__init__.py" for path in known.values())
    found = circles(root)
    text = [f"{len(loose(root))} modules lie loose: {', '.join(loose(root))}", f"{packages} packages, {lines} lines"]
    text += [f"{len(found)} circles", *("  " + ", ".join(group) for group in found)]
    return "\n".join(text)


if __name__ == "__main__":
    print(report(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2])))
