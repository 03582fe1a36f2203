"""The pages of errors: the classes with their exit codes, and every message in the source with its hint."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ffprobe import errors

ROOT = Path(__file__).parents[1]
PARTS = {  # functions that build an error from text in an argument: the error, and the position of that argument
    "file_error": ("FileError", 2),
    "Mistake": ("PluginError", 0),
    "kind": ("PluginError", 0),
}
STRIPS = ("strip", "rstrip", "removesuffix", "removeprefix", "lower")


def tree() -> list[type[errors.FfprobeError]]:
    """The classes of errors, base class first."""
    found = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.FfprobeError)]
    return sorted(found, key=lambda c: len(c.__mro__))


@dataclass(frozen=True, order=True)
class Message:
    """One message of the source, as a template.

    Attributes:
        what: the message, with a word in braces, or an ellipsis, for each inserted value.
        hint: the hint, in the same form.
        file: the source file that has the message.
        error: the name of the error's class.
    """

    what: str
    hint: str
    file: str
    error: str


def messages() -> list[Message]:
    """Every message of ``ffprobe/`` and ``plugins/``, sorted."""
    found = set()
    for folder in ("ffprobe", "plugins"):
        for path in sorted((ROOT / folder).glob("**/*.py")):
            module = ast.parse(path.read_text("utf-8"))
            own = _Source(module, path.relative_to(ROOT).as_posix()).messages()
            found |= {message for message in own if re.search(r"[a-z]{2}", re.sub(r"\{\w+\}", "", message.what))}
    return sorted(found, key=lambda m: (m.what.lstrip("`{\"'").lower(), m))


class _Source:
    """The messages of one file."""

    def __init__(self, module: ast.Module, file: str) -> None:
        self.module, self.file = module, file
        self.functions = [n for n in ast.walk(module) if isinstance(n, ast.FunctionDef)]
        self.classes = {c.__name__ for c in tree()}
        self.parents = {id(child): node for node in ast.walk(module) for child in ast.iter_child_nodes(node)}

    def messages(self) -> Iterator[Message]:
        for node in ast.walk(self.module):
            if isinstance(node, ast.Call) and (built := self._built(node)):
                error, at = built
                if len(node.args) > at and not isinstance(node.args[at], ast.Starred):
                    hint = next((k.value for k in node.keywords if k.arg == "hint"), None)
                    if isinstance(node.func, ast.Name) and node.func.id == "Mistake":  # the end of a sentence
                        end = self._message(node.args[0], node.args[1], error)
                        yield Message(f"The plugin … {end.what}.", end.hint, end.file, end.error)
                    else:
                        yield self._message(node.args[at], hint, error)
        for function in self.functions:  # texts that another function of the file turns into an error
            if function.returns and ast.unparse(function.returns) == "tuple[str, str]":
                for node in ast.walk(function):
                    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
                        yield self._message(*node.value.elts, self._user(function.name))
        names = {node.id for node in ast.walk(self.module) if isinstance(node, ast.Name)}
        for node in self.module.body if names & self.classes else ():  # tables of such texts
            if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
                for pair in node.value.values:
                    if isinstance(pair, ast.Tuple) and len(pair.elts) == 2 and _texts(pair):
                        yield self._message(*pair.elts, self._user(""))

    def _built(self, call: ast.Call) -> tuple[str, int] | None:
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "ffprobe":
            name = call.func.attr  # the spelling in plugins
        return (name, 0) if name in self.classes else PARTS.get(name)

    def _user(self, function: str) -> str:
        """The error that the caller of a function raises, or else the first error class of the file."""
        for other in self.functions:
            names = {n.id for n in ast.walk(other) if isinstance(n, ast.Name)}
            if (not function or function in names) and names & self.classes and other.name != function:
                return sorted(names & self.classes)[0]
        return "FfprobeError"

    def _message(self, what: ast.expr, hint: ast.expr | None, error: str) -> Message:
        return Message(_tidy(self._text(what)), _tidy(self._text(hint)) if hint else "", self.file, error)

    def _text(self, node: ast.expr, deep: int = 0) -> str:
        """The text of an expression; alternatives are separated by a bar."""
        match node:
            case ast.Constant():
                return str(node.value)
            case ast.JoinedStr():
                return "".join(self._text(part, deep) for part in node.values)
            case ast.FormattedValue():
                text = self._text(node.value, deep)
                return f"({text})" if " | " in text else text
            case ast.IfExp():
                return _either(self._text(node.body, deep), self._text(node.orelse, deep))
            case ast.BoolOp():
                return _either(*(self._text(value, deep) for value in node.values))
            case ast.BinOp(op=ast.Add()) if _texts(node):
                return self._text(node.left, deep) + self._text(node.right, deep)
            case ast.Call(func=ast.Name(id="did_you_mean")):
                return "Did you mean …?"
            case ast.Call(func=ast.Attribute(attr=attribute, value=value)) if attribute in STRIPS:
                return self._text(value, deep)
            case ast.Name():
                return self._name(node, deep)
            case ast.Attribute() if not node.attr.startswith("__"):
                return f"{{{node.attr.strip('_')}}}"
        return "…"

    def _name(self, node: ast.Name, deep: int) -> str:
        """The texts that a name may hold where it is used, or the name itself in braces."""
        if node.id.isupper() or node.id.startswith("_"):
            module = importlib.import_module(
                self.file.removesuffix(".py").replace("plugins/", "ffprobe_plugins/").replace("/", ".")
            )
            return str(getattr(module, node.id, "…"))
        values = list(self._given(node)) if deep < 3 else []
        if values and all(_texts(value) for value in values):
            return _either(*dict.fromkeys(self._text(value, deep + 1) for value in values))
        return f"{{{node.id}}}"

    def _given(self, name: ast.Name) -> list[ast.expr]:
        """The values that may have been assigned to a name, searched backwards from its use."""
        values: list[ast.expr] = []
        node: ast.AST = name
        while (above := self.parents.get(id(node))) is not None and not isinstance(node, ast.FunctionDef):
            for block in (getattr(above, field, None) for field in ("body", "orelse", "finalbody")):
                if isinstance(block, list) and node in block:
                    more, certain = _reaching(block[: block.index(node)], name.id)
                    values += more
                    if certain:
                        return values
            node = above
        return values


def _reaching(block: list[ast.stmt], name: str) -> tuple[list[ast.expr], bool]:
    """The possible values of a name at the end of a block, and whether earlier values are excluded."""
    if block and isinstance(block[-1], ast.Raise | ast.Return | ast.Continue | ast.Break):
        return [], True  # the block never reaches its end
    values = []
    for statement in reversed(block):
        more, certain = _assigned(statement, name)
        values += more
        if certain:
            return values, True
    return values, False


def _assigned(statement: ast.stmt, name: str) -> tuple[list[ast.expr], bool]:
    if isinstance(statement, ast.If):
        (one, always), (two, too) = _reaching(statement.body, name), _reaching(statement.orelse, name)
        return one + two, always and too
    if not isinstance(statement, ast.Assign):
        blocks = [getattr(statement, field, []) for field in ("body", "orelse", "finalbody")]
        return [value for block in blocks for value in _reaching(block, name)[0]], False
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        pairs = list(zip(target.elts, value.elts, strict=True))
    else:
        pairs = [(target, value)]
    found = [given for to, given in pairs if isinstance(to, ast.Name) and to.id == name]
    return found, bool(found)


def _either(*texts: str) -> str:
    return " | ".join(filter(None, texts))


def _texts(node: ast.AST) -> bool:
    """Whether an expression contains a text with more than one word."""
    return any(isinstance(n, ast.Constant) and isinstance(n.value, str) and " " in n.value for n in ast.walk(node))


def _tidy(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("*", "\\*").split()).replace("<", "&lt;")


def error_pages(note: str) -> dict[str, str]:
    """Every page by its path: the list of classes, and one page for each class that has messages."""
    found = messages()
    pages, rows = {}, []
    for error in tree():
        own = [m for m in found if m.error == error.__name__]
        doc, code = (inspect.getdoc(error) or "").splitlines()[0], _code(error)
        name = f"`{error.__name__}`"
        if own:
            path = f"errors/{error.__name__.removesuffix('Error').lower()}.md"
            name = f"[{name}]({path})"
            table = "".join(f"| {m.what} | {m.hint} | `{m.file}` |\n" for m in own)
            head = f"# {error.__name__}, exit code {code}\n\n{note}{doc}\n\n{LEGEND}\n"
            pages[path] = f"{head}| message | hint | source |\n|---|---|---|\n{table}"
        rows.append(f"| {code} | {name} | {doc} | {len(own)} |\n")
    table = "| exit code | error | when | messages |\n|---|---|---|---|\n| 0 | | Success. | |\n" + "".join(rows)
    return {"errors.md": f"# Errors\n\n{note}{INTRO}\n{table}", **pages}


INTRO = """\
Every error states what happened, where, and a hint that helps. It is printed to stderr, and the exit code shows its
class. With `--json` it is one JSON line with the keys `error`, `what`, `where`, `do` (the hint) and `exit_code`;
`--verbose` adds the traceback. In Python it is an exception with the attributes `what`, `where` and `hint`; all classes
derive from `ffprobe.FfprobeError`.

Each page below lists every message of its class in alphabetical order. Failures of `ffprobe plugins check` are not
listed; they state their reason themselves. Mistakes that only a program can make, through the Python API, are not
listed either: they raise ValueError, TypeError or IndexError.
"""
LEGEND = """\
A word in braces, or …, stands for an inserted value. A bar separates alternatives, in parentheses within a sentence.
"""


def _code(error: type[errors.FfprobeError]) -> str:
    return "130, 143" if error is errors.Interrupted else str(error.exit_code)
