"""From Python what the command line does: train, ask, rebuild, predict; a thin layer over the same parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffprobe.errors import FileError, PluginError, UsageError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

    from ffprobe.analysis.result import Result
    from ffprobe.config import RunConfig
    from ffprobe.registry import Registry
    from ffprobe.store.reader import RunFile
    from ffprobe.training.network import Stack


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
    from ffprobe.store.reader import open_run
    from ffprobe.training.blame import blamed

    registry = Registry()
    what, settings = parse_plugin(question)
    probes: list[Any] = [c for c in registry.load(what) if c.kind == "probe"]
    if not probes:
        known = [offer.name for plugin in registry.plugins for offer in plugin.offers if offer.kind == "probe"]
        raise PluginError(f"{what!r} asks nothing of a run file: it offers no probe.", do=did_you_mean(what, known))
    params = validate(probes[0].Params, settings, f"probe {probes[0].name!r}")
    with ExitStack() as stack:
        files = [stack.enter_context(open_run(r)) if isinstance(r, str | Path) else r for r in runs]
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
    import torch

    from ffprobe.store.reader import open_run

    with ExitStack() as stack:
        file = stack.enter_context(open_run(run)) if isinstance(run, str | Path) else run
        if not file.complete:
            do = "`ffprobe run --resume` finishes it."
            raise FileError("An unfinished run has no final weights yet.", where=str(file.path), do=do)
        paths = [path for path in file.paths() if path.startswith("weights/")]
        state = {path.removeprefix("weights/").replace("/", ".", 1): file.read(path) for path in paths}
        shape, mean, std = (_tuple(file, f"image_{name}") for name in ("shape", "mean", "std"))
        network = rebuild(file.config, shape, tuple(map(str, _tuple(file, "class_names"))))
        known = network.named_state()
        try:
            network.load_named_state({name: torch.from_numpy(state[name].copy()) for name in known})
        except (KeyError, RuntimeError) as error:
            do = "Install the plugins of the run in the versions that `ffprobe show` lists."
            raise FileError(f"The weights do not fit the network: {error}.", where=str(file.path), do=do) from error
    network.image_mean, network.image_std = mean, std  # type: ignore[assignment]  # what its inputs were normalized by
    return network


def predict(run: str | Path | RunFile, images: np.ndarray) -> np.ndarray:
    """The class that a finished run's network gives each image, by the run's evaluator.

    Args:
        run: a run file, open (it stays so) or by its path.
        images: uint8 ``[N, C, H, W]``, 0 to 255, of the run's shape.

    Returns:
        int64 ``[N]``: positions in the run's ``class_names``.

    Raises:
        UsageError: the images have another shape or dtype.
        FileError: see ``load_network``.
    """
    import torch

    from ffprobe.data.images import Images
    from ffprobe.registry import Registry
    from ffprobe.store.reader import open_run
    from ffprobe.training.evaluate import goodness_tensor
    from ffprobe.training.precision import autocast

    with ExitStack() as stack:
        file = stack.enter_context(open_run(run)) if isinstance(run, str | Path) else run
        shape = _tuple(file, "image_shape")
        if images.dtype != "uint8" or images.shape[1:] != shape:
            wanted = f"uint8 [N, {', '.join(map(str, shape))}]"
            raise UsageError(f"The images must be {wanted}, not {images.dtype} {list(images.shape)}.")
        network = load_network(file)
        pixels, labels = torch.from_numpy(images.copy()), torch.zeros(len(images), dtype=torch.int64)
        names = tuple(map(str, _tuple(file, "class_names")))
        split = Images(pixels, labels, names, _tuple(file, "image_mean"), _tuple(file, "image_std"))
        goodness = goodness_tensor(network, split, 512, autocast("fp32", torch.device("cpu")))
        evaluator = configure(Registry(), "", (), file.config).slots["evaluator"].build()
        scores: torch.Tensor = evaluator.scores(goodness)
    return scores.argmax(dim=1).numpy()


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


def rebuild(config: Mapping[str, Any], shape: Sequence[int], classes: Sequence[str]) -> Stack:
    """The network of a config, untrained, in evaluation mode, on the CPU in float32 (float64 under ``fp64``)."""
    import torch

    from ffprobe.config import merge, resolve
    from ffprobe.data.images import Images
    from ffprobe.registry import Registry
    from ffprobe.training.experiment import Split, build

    registry = Registry()
    plain = {"device": "cpu", "probes": [], "observers": [], "precision": config.get("precision", "fp32")}
    plain["precision"] = "fp64" if plain["precision"] == "fp64" else "fp32"
    # as many black images as there are classes: only their shape matters
    black = torch.zeros(len(classes), *shape, dtype=torch.uint8)
    one = (1.0,) * int(shape[0])
    images = Images(black, torch.arange(len(classes)), tuple(classes), one, one)
    places = torch.arange(len(classes))
    split = Split(images, images, None, places, places)
    network = build(resolve(merge(config, plain), registry), registry, split).stack
    return network.eval()


def _tuple(file: RunFile, name: str) -> tuple[Any, ...]:
    value = file.attributes.get(name)
    if not isinstance(value, list):
        raise FileError(f"The run file does not say its {name}.", where=str(file.path))
    return tuple(value)
