"""What a probe must obey."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ffprobe.analysis.result.result import Result
from ffprobe.errors import FileError, UsageError
from ffprobe.hookspecs import hookimpl
from ffprobe.store.names import partial_of
from ffprobe.store.reader import open_run
from ffprobe.store.schema import Dimension, Variable
from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.materials import told
from ffprobe.testing.randomness import global_states, moved
from ffprobe.testing.toy import registry_for, word_for
from ffprobe.testing.watching import Watched, baseline, compare, watched

DTYPES = ("f4", "f8", "i4", "i8", "u1")


class ProbeContract(ComponentContract):
    """The checks of a probe, on toy runs with it, without it, and stopped."""

    kind = "probe"

    def settings(self) -> dict[str, Any]:
        """The toy's config with this probe."""
        name = self.subject.component.name
        return {"probes": [{"name": name, "plugin": word_for(self.subject.plugin), **self._plain()}]}

    @cached_property
    def _with(self) -> Watched:
        baseline()  # first, since the first run of a process differs: it imports
        registry, out = registry_for(self.subject.plugin), self.scratch / "with.h5"
        return watched(registry, [], out, self.settings(), [Killer(partial_of(out), self.scratch)])

    @cached_property
    def _killed(self) -> dict[int, Path]:
        """What kills of the run with the probe left, by how many epochs are committed."""
        assert self._with
        return {epochs: Killer.path(self.scratch, epochs) for epochs in (0, 1)}

    @cached_property
    def _answer(self) -> Result | FileError | UsageError:
        # asked once for all checks that look at it, since some questions take a while to answer
        return self.analyze(self.runs(self._with.path))

    def analyze(self, paths: Sequence[Path]) -> Result | FileError | UsageError:
        """Its answer, or the refusal that a user may see."""
        runs = [open_run(path) for path in paths]
        try:
            answer = self.subject.build().analyze(runs)
        except (FileError, UsageError) as refusal:
            return refusal
        finally:
            for run in runs:
                run.close()
        expect(isinstance(answer, Result), "an ffprobe.Result", told(answer))
        assert isinstance(answer, Result)
        return answer

    def runs(self, path: Path) -> list[Path]:
        """As many runs as the probe asks for at least."""
        return [path] * max(1, self.subject.component.least_runs)  # type: ignore[attr-defined]

    def answer(self) -> Result:
        """Its answer to the toy run that it watched, or Skip where it refuses that."""
        found = self._answer
        if not isinstance(found, Result):
            raise Skip(f"it does not answer the toy run: {found.what}")
        return found

    @check("The file's layout is declared before the run; what does not fit stops the run before its first step.")
    def declares_valid_variables(self) -> None:
        """variables(run) gives ffprobe.Variable with dimensions, dtype, units and a long name."""
        declared = self.subject.build().variables(baseline().context)
        expect(isinstance(declared, list | tuple), "a list of ffprobe.Variable", told(declared))
        for variable in declared:
            expect(isinstance(variable, Variable), "an ffprobe.Variable", told(variable))
            at = f"for the variable {variable.path!r}"
            own = [d for d in variable.dimensions if isinstance(d, Dimension)]
            expect(variable.path and not variable.path.startswith(("/", "probes/")), "a name of its own", at)
            expect(variable.dtype in DTYPES, f"a dtype of {', '.join(DTYPES)} {at}", repr(variable.dtype))
            expect(variable.long_name.strip(), f"a long_name {at}", "none")
            expect(variable.units.strip(), f"units {at}, '1' for pure numbers", "none")
            known = {d.name: d for v in declared for d in v.dimensions if d.group == variable.group}
            missing = [d for d in variable.dims if d not in known]
            expect(not missing, f"a Dimension for each of {variable.dims} {at}", f"none for {', '.join(missing)}")
            growing = [d.name for d in own if d.size is None]
            first = all(name == variable.dims[0] for name in growing)
            expect(first, f"only the first dimension to grow {at}", f"{growing} of {variable.dims}")

    @check("An observer that fails is switched off, and the file lacks what it would have recorded.")
    def watches_without_failing(self) -> None:
        """In the toy run none of its hooks raises or returns something, and every row it records fits."""
        said = [text for _, text in self._with.messages if "switched off" in text]
        expect(not said, "a run in which it is not switched off", "; ".join(said))

    @check("Watching must change nothing: a result that depends on who looked is worth nothing.")
    def changes_no_number_of_the_run(self) -> None:
        """With it and without it the toy run ends in the same weights, streams and metrics, bit for bit."""
        compare(self._with)

    @check("A plot made from half a run file, or a traceback, helps nobody; a sentence does.")
    def answers_or_says_what_is_missing(self) -> None:
        """analyze() gives a Result of the toy run, or raises FileError or UsageError that says what to do."""
        self._says(self._answer, "the toy run that it watched")

    @check("Most files were recorded without this probe.")
    def says_what_a_run_without_it_lacks(self) -> None:
        """Of a run that it did not watch it gives a Result, or raises FileError that says how to record it."""
        self._says(self.analyze(self.runs(baseline().path)), "a run that it did not watch")

    @check("Long runs are looked at while they go on, and after they were killed.")
    def answers_of_an_unfinished_run(self) -> None:
        """Of a run killed before the first epoch's end, and after it, it answers or raises FileError."""
        for epochs, path in self._killed.items():
            self._says(self.analyze(self.runs(path)), f"an unfinished run of {epochs} epochs")

    @check("Two runs side by side are what an analysis is asked for most.")
    def takes_several_runs(self) -> None:
        """Of two runs at once (or one more than it needs) it gives a Result, or raises FileError or UsageError."""
        paths = [*self.runs(self._with.path), self._with.path]
        self._says(self.analyze(paths), f"{len(paths)} runs at once")

    @check("An analysis may be asked again at any time, by anybody, of a file that a run is writing.")
    def can_be_asked_again(self) -> None:
        """Asked again it gives the same rows, changes no byte of the run file, and draws from no global generator."""
        before, kept = self._with.path.read_bytes(), global_states()
        second = self.analyze(self.runs(self._with.path))
        drawn = moved(kept)
        expect(self._with.path.read_bytes() == before, "the file as it was", "a file that was written to")
        expect(not drawn, "no draw from a global generator", f"draws from {', '.join(drawn)}")
        first = self._answer
        if isinstance(first, Result) and isinstance(second, Result):
            expect(
                first.to_dict()["rows"] == second.to_dict()["rows"], "the same rows twice", "other rows the second time"
            )

    @check("Table, JSON document and CSV are made from the same rows.")
    def its_result_is_a_json_document(self) -> None:
        """The Result has a question, columns and rows, and is JSON without NaN."""
        result = self.answer()
        expect(result.question.strip(), "a question in one sentence", "none")
        expect(result.columns and result.rows, "columns and rows", f"{len(result.rows)} rows")
        text = json.dumps(result.to_dict(), allow_nan=False)
        expect(json.loads(text)["columns"], "the columns in the document", "none")
        result.write_csv(self.scratch / "result.csv")
        repr(result.table())

    @check("A number without a unit is not a result.")
    def its_columns_have_units(self) -> None:
        """Every column has a description, and every column of numbers with a fraction a unit ('1' for pure numbers)."""
        result = self.answer()
        for index, column in enumerate(result.columns):
            values = [row[index] for row in result.rows]
            fractions = any(isinstance(v, float) and math.isfinite(v) and v != int(v) for v in values)
            expect(column.unit or not fractions, f"a unit for the column {column.name!r}", "none")

    @check("The figure is what goes into a paper.")
    def its_figure_draws(self) -> None:
        """Where the Result has a figure, it is drawn and written as PNG."""
        result = self.answer()
        if result.draw is None:
            raise Skip("it has no figure")
        figure, _ = result.save_figure(self.scratch / "figure.png", command="ffprobe plugins check")
        expect(figure.stat().st_size > 1000, "a picture", f"{figure.stat().st_size} bytes")

    def _says(self, found: Result | FileError | UsageError, what: str) -> None:
        if isinstance(found, FileError | UsageError):
            said = f"{type(found).__name__}: {found}"
            expect(found.hint.strip(), f"what to do about {what}", said)
        else:
            json.dumps(found.to_dict(), allow_nan=False)


class Killer:
    """Keeps what a kill would leave: a copy of the unfinished file at the first step of every epoch."""

    def __init__(self, partial: Path, folder: Path) -> None:
        self.partial, self.folder = partial, folder

    @staticmethod
    def path(folder: Path, epochs: int) -> Path:
        """Of the copy with so many epochs committed."""
        return partial_of(folder / f"killed-{epochs}.h5")

    @hookimpl
    def ffprobe_after_step(self, context: Any) -> None:
        """Copy the file as it lies there."""
        path = self.path(self.folder, context.epoch)
        if not path.exists():
            shutil.copyfile(self.partial, path)
