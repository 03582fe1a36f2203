"""The contract of a probe."""

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
from ffprobe.testing.materials import describe
from ffprobe.testing.randomness import global_states, moved
from ffprobe.testing.toy import registry_for, word_for
from ffprobe.testing.watching import Watched, baseline, compare, watched

DTYPES = ("f4", "f8", "i4", "i8", "u1")


class ProbeContract(ComponentContract):
    """The checks of a probe, on toy runs with it, without it, and killed."""

    kind = "probe"

    def settings(self) -> dict[str, Any]:
        """The settings of a toy run with this probe."""
        name = self.subject.component.name
        return {"probes": [{"name": name, "plugin": word_for(self.subject.plugin), **self._plain()}]}

    @cached_property
    def _with(self) -> Watched:
        baseline()  # first, since the first run of a process differs: its imports use generators
        registry, out = registry_for(self.subject.plugin), self.scratch / "with.h5"
        return watched(registry, [], out, self.settings(), [Killer(partial_of(out), self.scratch)])

    @cached_property
    def _killed(self) -> dict[int, Path]:
        """The files that kills of the run with the probe leave, by number of committed epochs."""
        assert self._with
        return {epochs: Killer.path(self.scratch, epochs) for epochs in (0, 1)}

    @cached_property
    def _answer(self) -> Result | FileError | UsageError:
        # computed once for all checks that use it, since some analyses take a while
        return self.analyze(self.runs(self._with.path))

    def analyze(self, paths: Sequence[Path]) -> Result | FileError | UsageError:
        """The probe's result for these runs, or the error that a user would see."""
        runs = [open_run(path) for path in paths]
        try:
            answer = self.subject.build().analyze(runs)
        except (FileError, UsageError) as refusal:
            return refusal
        finally:
            for run in runs:
                run.close()
        expect(isinstance(answer, Result), "an ffprobe.Result", describe(answer))
        assert isinstance(answer, Result)
        return answer

    def runs(self, path: Path) -> list[Path]:
        """The minimum number of runs that the probe needs."""
        return [path] * max(1, self.subject.component.least_runs)  # type: ignore[attr-defined]

    def answer(self) -> Result:
        """The result for the toy run that it observed; raises Skip if it raises an error for this run."""
        answer = self._answer
        if not isinstance(answer, Result):
            raise Skip(f"it cannot analyze the toy run: {answer.what}")
        return answer

    @check("The file's layout is declared before the run; an invalid declaration stops the run before its first step.")
    def declares_valid_variables(self) -> None:
        """variables(run) returns a list of ffprobe.Variable with dimensions, dtype, units and a long name."""
        declared = self.subject.build().variables(baseline().context)
        expect(isinstance(declared, list | tuple), "a list of ffprobe.Variable", describe(declared))
        for variable in declared:
            expect(isinstance(variable, Variable), "an ffprobe.Variable", describe(variable))
            at = f"for the variable {variable.path!r}"
            own = [d for d in variable.dimensions if isinstance(d, Dimension)]
            expect(variable.path and not variable.path.startswith(("/", "probes/")), "a relative name", at)
            expect(variable.dtype in DTYPES, f"a dtype of {', '.join(DTYPES)} {at}", repr(variable.dtype))
            expect(variable.long_name.strip(), f"a long_name {at}", "none")
            expect(variable.units.strip(), f"units {at}, '1' for dimensionless numbers", "none")
            known = {d.name: d for v in declared for d in v.dimensions if d.group == variable.group}
            missing = [d for d in variable.dims if d not in known]
            expect(not missing, f"a Dimension for each of {variable.dims} {at}", f"none for {', '.join(missing)}")
            growing = [d.name for d in own if d.size is None]
            first = all(name == variable.dims[0] for name in growing)
            expect(first, f"only the first dimension to grow {at}", f"{growing} of {variable.dims}")

    @check("An observer that fails is switched off, and its data is missing in the file.")
    def observes_without_errors(self) -> None:
        """In the toy run none of its hooks raises an error or returns a value, and every recorded row is valid."""
        messages = [text for _, text in self._with.messages if "switched off" in text]
        expect(not messages, "a run in which it is not switched off", "; ".join(messages))

    @check("Results that depend on which observers were active cannot be compared.")
    def does_not_change_the_run(self) -> None:
        """The toy run has the same weights, random streams and metrics with and without it, bit for bit."""
        compare(self._with)

    @check("A user needs a message, not a traceback or a plot of incomplete data.")
    def answers_or_names_missing_data(self) -> None:
        """analyze() returns a Result for the toy run, or raises FileError or UsageError with a hint."""
        self._check_answer(self._answer, "the toy run that it observed")

    @check("Most files were recorded without this probe.")
    def names_the_missing_data_of_other_runs(self) -> None:
        """For a run without this probe it returns a Result, or raises FileError with a hint how to record the data."""
        self._check_answer(self.analyze(self.runs(baseline().path)), "a run without this probe")

    @check("Users analyze long runs while they are running, and after they were killed.")
    def answers_for_an_unfinished_run(self) -> None:
        """For a run killed before or after the end of the first epoch it returns a Result or raises FileError."""
        for epochs, path in self._killed.items():
            self._check_answer(self.analyze(self.runs(path)), f"an unfinished run of {epochs} epochs")

    @check("The most common analysis compares two runs.")
    def takes_several_runs(self) -> None:
        """For two runs (or one more than it needs) it returns a Result, or raises FileError or UsageError."""
        paths = [*self.runs(self._with.path), self._with.path]
        self._check_answer(self.analyze(paths), f"{len(paths)} runs at once")

    @check("An analysis can be repeated at any time, also for a file that a run is writing.")
    def can_be_repeated(self) -> None:
        """Repeated, it returns the same rows, does not change the run file, and draws from no global generator."""
        before, kept = self._with.path.read_bytes(), global_states()
        second = self.analyze(self.runs(self._with.path))
        drawn = moved(kept)
        expect(self._with.path.read_bytes() == before, "an unchanged file", "a file that was written to")
        expect(not drawn, "no draws from global generators", f"draws from {', '.join(drawn)}")
        first = self._answer
        if isinstance(first, Result) and isinstance(second, Result):
            same = first.to_dict()["rows"] == second.to_dict()["rows"]
            expect(same, "the same rows twice", "different rows the second time")

    @check("The table, the JSON document and the CSV file contain the same rows.")
    def its_result_is_a_json_document(self) -> None:
        """The Result has a question, columns and rows, and can be written as JSON without NaN."""
        result = self.answer()
        expect(result.question.strip(), "a question in one sentence", "none")
        expect(result.columns and result.rows, "columns and rows", f"{len(result.rows)} rows")
        text = json.dumps(result.to_dict(), allow_nan=False)
        expect(json.loads(text)["columns"], "the columns in the document", "none")
        result.write_csv(self.scratch / "result.csv")
        repr(result.table())

    @check("A number without a unit has no meaning.")
    def its_columns_have_units(self) -> None:
        """Every column of non-integer numbers has a unit ('1' for dimensionless numbers)."""
        result = self.answer()
        for index, column in enumerate(result.columns):
            values = [row[index] for row in result.rows]
            fractions = any(isinstance(v, float) and math.isfinite(v) and v != int(v) for v in values)
            expect(column.unit or not fractions, f"a unit for the column {column.name!r}", "none")

    @check("Users put the figure into a paper.")
    def its_figure_draws(self) -> None:
        """If the Result has a figure, it can be drawn and written as PNG."""
        result = self.answer()
        if result.draw is None:
            raise Skip("it has no figure")
        figure, _ = result.save_figure(self.scratch / "figure.png", command="ffprobe plugins check")
        expect(figure.stat().st_size > 1000, "a PNG of more than 1000 bytes", f"{figure.stat().st_size} bytes")

    def _check_answer(self, answer: Result | FileError | UsageError, what: str) -> None:
        if isinstance(answer, FileError | UsageError):
            expect(answer.hint.strip(), f"an error with a hint for {what}", f"{type(answer).__name__}: {answer}")
        else:
            json.dumps(answer.to_dict(), allow_nan=False)


class Killer:
    """Saves the file that a kill would leave: a copy of the unfinished file at the first step of every epoch."""

    def __init__(self, partial: Path, folder: Path) -> None:
        self.partial, self.folder = partial, folder

    @staticmethod
    def path(folder: Path, epochs: int) -> Path:
        """The path of the copy with this number of committed epochs."""
        return partial_of(folder / f"killed-{epochs}.h5")

    @hookimpl
    def ffprobe_after_step(self, context: Any) -> None:
        """Copy the file in its current state."""
        path = self.path(self.folder, context.epoch)
        if not path.exists():
            shutil.copyfile(self.partial, path)
