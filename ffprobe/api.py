"""From Python what the command line does: train, ask, rebuild, predict; a thin layer over the same parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.errors import PluginError, UsageError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from ffprobe.analysis.result import Result
    from ffprobe.config import RunConfig
    from ffprobe.registry import Registry
    from ffprobe.store.reader import RunFile
    from ffprobe.training.network import Stack
    from ffprobe.training.trained import Trained


def train(
    out: str | Path = "run.h5",
    *,
    preset: str = "",
    plugins: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> RunFile:
    """Train and record, as ``ffprobe run`` does.

    Args:
        out: the run file.
        preset: a named config; vanilla Forward-Forward unless given.
        plugins: each as ``--plugin`` takes it: a name, ``name:key=value``, ``./file.py``, ``module:attr``.
        settings: each as ``--set`` takes it, ``{"training.epochs": 3}``, or as nested tables.
        overwrite: replace an existing run file.
        resume: go on from the last committed epoch when there is one.

    Returns:
        The finished run file, open; close it, or use ``with``.

    Raises:
        FfprobeError: as the command: settings that do not fit, a plugin that is missing, a run that failed.
    """
    from ffprobe.registry import Registry
    from ffprobe.store.reader import open_run
    from ffprobe.training.session import Session, refuse_unless_resumable

    out, registry = Path(out), Registry()
    config = configure(registry, preset, plugins, settings)
    if resume and out.exists():
        return open_run(out)
    refuse_unless_resumable(out, resume, overwrite)
    Session(config, registry, out, command="ffprobe.train", overwrite=overwrite, resume=resume).run()
    return open_run(out)


def analyze(question: str, *runs: str | Path | RunFile) -> Result:
    """Answer a question from recorded runs, as ``ffprobe analyze`` does.

    Args:
        question: a probe's name, ``name:key=value,...``, ``./file.py`` or ``module:attr``.
        runs: run files, open (they stay so) or by their paths.

    Returns:
        The answer: ``table()``, ``json()``, ``figure()``; in a notebook it shows itself.

    Raises:
        PluginError: there is no such question; the nearest are named.
        FileError: a run is missing, damaged, or did not record what is needed.
    """
    from ffprobe.config import Choice, parse_plugin, validate
    from ffprobe.registry import Registry
    from ffprobe.training.blame import blamed

    registry = Registry()
    what, settings = parse_plugin(question)
    probes: list[Any] = [c for c in registry.load(what) if c.kind == "probe"]
    if not probes:
        known = [offer.name for plugin in registry.plugins for offer in plugin.offers if offer.kind == "probe"]
        raise PluginError(f"{what!r} asks nothing of a run file: it offers no probe.", do=did_you_mean(what, known))
    params = validate(probes[0].Params, settings, f"probe {probes[0].name!r}")
    with ExitStack() as stack:
        files = [stack.enter_context(_opened(run)) for run in runs]
        with blamed(registry, f"answering {probes[0].name!r}"):
            result: Result = Choice(probes[0], params).build().analyze(files)
    return result


def load_network(run: str | Path | RunFile) -> Stack:
    """The trained network of a finished run, rebuilt with its weights, in evaluation mode, on the CPU.

    An ordinary ``nn.Module``: ``network(images, labels)`` is the goodness ``[L, B]`` of normalized images
    ``[B, C, H, W]`` with these labels, ``network.layer(i)`` one layer.

    Args:
        run: a run file, open (it stays so) or by its path.

    Raises:
        FileError: the run did not finish, or its weights do not fit the plugins that are installed.
        PluginError: a plugin of the run is missing.
    """
    with _opened(run) as file:
        return _trained(file)[0].stack


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
        FileError: see ``load_network``.
    """
    import torch

    from ffprobe.analysis.calibrating import read_calibration
    from ffprobe.components import Evaluator
    from ffprobe.data.images import Images
    from ffprobe.training.predictor import predict as predictions

    with _opened(run) as file:
        trained, config = _trained(file)
        if images.dtype != "uint8" or images.shape[1:] != trained.shape:
            wanted = f"uint8 [N, {', '.join(map(str, trained.shape))}]"
            raise UsageError(f"The images must be {wanted}, not {images.dtype} {list(images.shape)}.")
        evaluator: Evaluator = config.slots["evaluator"].build()
        if type(evaluator).calibrate is not Evaluator.calibrate:
            evaluator.calibrate(read_calibration(file, "pre" if "activations" in evaluator.needs else ""))
    pixels, labels = torch.from_numpy(images.copy()), torch.zeros(len(images), dtype=torch.int64)
    found = predictions(trained, Images(pixels, labels, trained.classes, trained.mean, trained.std), evaluator)
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


def _trained(file: RunFile) -> tuple[Trained, RunConfig]:
    from ffprobe.config import resolve
    from ffprobe.registry import Registry
    from ffprobe.training.trained import rebuild

    registry = Registry()
    config = resolve({**file.config, "probes": [], "observers": []}, registry)
    return rebuild(file, config, registry, "cpu"), config


def configure(
    registry: Registry, preset: str = "", plugins: Sequence[str] = (), settings: Mapping[str, Any] | None = None
) -> RunConfig:
    """The resolved config of preset, plugins and settings, each over the one before."""
    from ffprobe.config import BASE_PRESET, merge, picks, read_preset, resolve

    table = merge(read_preset(BASE_PRESET), {"preset": preset or BASE_PRESET})
    table = merge(table, read_preset(preset)) if preset else table
    picked = picks(plugins, registry)
    for several in ("probes", "observers"):
        picked[several] = [*table.get(several, []), *picked.get(several, [])]
    return resolve(merge(merge(table, picked), nested(settings or {})), registry)


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with dotted keys as nested tables; what is nested already stays so."""
    from ffprobe.config import merge

    table: dict[str, Any] = {}
    for key, value in settings.items():
        *parts, last = key.split(".")
        branch: dict[str, Any] = {last: value}
        for part in reversed(parts):
            branch = {part: branch}
        table = merge(table, branch)
    return table
