"""From Python what the command line does: run, ask, predict; a thin layer over the same parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from ffprobe.analysis.result.result import Result
    from ffprobe.config.settings import RunConfig
    from ffprobe.inference.recorded_run import RecordedRun
    from ffprobe.plugin.registry import Registry
    from ffprobe.store.reader import RunFile


def run(
    out: str | Path = "run.h5",
    *,
    preset: str = "",
    plugins: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> RecordedRun:
    """Train and record, as ``ffprobe run`` does.

    Args:
        out: the run file.
        preset: a named config; vanilla Forward-Forward unless given.
        plugins: each as ``--plugin`` takes it: a name, ``name:key=value``, ``./file.py``, ``module:attr``.
        settings: each as ``--set`` takes it, ``{"training.epochs": 3}``, or as nested tables.
        overwrite: replace an existing run file.
        resume: go on from the last committed epoch when there is one.

    Returns:
        The finished run, open, as ``ffprobe.open`` gives it; close it, or use ``with``.

    Raises:
        FfprobeError: as the command: settings that do not fit, a plugin that is missing, a run that failed.
    """
    from ffprobe.distributed.processes import joined
    from ffprobe.inference.recorded_run import open as open_recorded
    from ffprobe.plugin.registry import Registry
    from ffprobe.training.session import Session, refuse_unless_resumable

    out, registry = Path(out), Registry()
    config = configure(registry, preset, plugins, settings)
    if resume and out.exists():
        return open_recorded(out)
    with joined(config.settings.device) as process_group:
        if process_group.is_main:
            refuse_unless_resumable(out, resume, overwrite)
        Session(
            config,
            registry,
            out,
            command="ffprobe.run",
            overwrite=overwrite,
            resume=resume,
            process_group=process_group,
        ).run()
    return open_recorded(out)


def analyze(question: str, *runs: str | Path | RunFile) -> Result:
    """Answer a question from recorded runs, as ``ffprobe analyze`` does.

    Args:
        question: a probe's name, ``name:key=value,...``, ``./file.py`` or ``module:attr``.
        runs: run files, open (they stay so) or by their paths.

    Returns:
        The answer: ``table()``, ``to_dict()``, ``figure()``, ``to_pandas()``; in a notebook it shows itself.

    Raises:
        PluginError: there is no such question; the nearest are named.
        UsageError: it needs more runs than these, or a setting does not fit.
        FileError: a run is missing, damaged, or did not record what is needed.
    """
    from ffprobe.config.analysis_choice import find_question
    from ffprobe.plugin.error_attribution import attribute_errors
    from ffprobe.plugin.registry import Registry

    registry = Registry()
    choice = find_question(question, registry, len(runs))
    with ExitStack() as network:
        files = [network.enter_context(_opened(run)) for run in runs]
        with attribute_errors(registry, f"answering {choice.component.name!r}"):
            result: Result = choice.build().analyze(files)
    return result


def predict(run: str | Path | RunFile, images: np.ndarray) -> np.ndarray:
    """The class that a finished run's network gives each image, by the run's evaluator, on the CPU.

    An evaluator that has something to choose chooses it anew on the run's recorded validation goodness.

    Args:
        run: a run file, open (it stays so) or by its path.
        images: uint8 ``[N, C, H, W]``, 0 to 255, of the run's shape; normalized as the run's own.

    Returns:
        int64 ``[N]``: positions in the run's ``class_names``.

    Raises:
        UsageError: the images have another shape or dtype.
        FileError: the run did not finish, or its weights do not fit the plugins that are installed.
    """
    import torch

    from ffprobe.analysis.evaluators.calibrating import read_calibration
    from ffprobe.components.evaluator import Evaluator
    from ffprobe.data.images import Images
    from ffprobe.inference.predictor import predict as predictions
    from ffprobe.inference.recorded_run import trained

    with _opened(run) as file:
        network, config = trained(file)
        if images.dtype != "uint8" or images.shape[1:] != network.shape:
            wanted = f"uint8 [N, {', '.join(map(str, network.shape))}]"
            raise UsageError(f"The images must be {wanted}, not {images.dtype} {list(images.shape)}.")
        evaluator: Evaluator = config.slots["evaluator"].build()
        if type(evaluator).calibrate is not Evaluator.calibrate:
            evaluator.calibrate(read_calibration(file, "pre" if "activations" in evaluator.needs else ""))
    pixels, labels = torch.from_numpy(images.copy()), torch.zeros(len(images), dtype=torch.int64)
    found = predictions(network, Images(pixels, labels, network.classes, network.mean, network.std), evaluator)
    return found.labels.numpy()


@contextmanager
def _opened(run: str | Path | RunFile) -> Iterator[RunFile]:
    """The run file; closed again only where it was not open before."""
    from ffprobe.store.reader import open_run

    if isinstance(run, str | Path):
        with open_run(run) as file:
            yield file
    else:
        yield run


def configure(
    registry: Registry, preset: str = "", plugins: Sequence[str] = (), settings: Mapping[str, Any] | None = None
) -> RunConfig:
    """The resolved config of preset, plugins and settings, each over the one before."""
    from ffprobe.config.options import RunOptions
    from ffprobe.config.parsing import merge
    from ffprobe.config.resolve import resolve

    table = RunOptions(preset=preset, plugin=tuple(plugins)).table(registry)
    return resolve(merge(table, nested(settings or {})), registry)


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with dotted keys as nested tables; what is nested already stays so."""
    from ffprobe.config.parsing import merge

    table: dict[str, Any] = {}
    for key, value in settings.items():
        *parts, last = key.split(".")
        branch: dict[str, Any] = {last: value}
        for part in reversed(parts):
            branch = {part: branch}
        table = merge(table, branch)
    return table
