"""A run's network and evaluator, loaded from its run file and ready to predict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ffprobe.analysis.evaluators.read_calibration import read_calibration
from ffprobe.components.evaluator import Evaluator
from ffprobe.config.parsing import merge
from ffprobe.config.resolve import check_tables, picks, resolve
from ffprobe.config.settings import RunConfig
from ffprobe.config.trust import check_code, code_in, code_of
from ffprobe.errors import UsageError
from ffprobe.inference.trained import Trained, rebuild
from ffprobe.plugin.error_attribution import attribute_errors
from ffprobe.plugin.registry import Registry
from ffprobe.store.reader import RunFile


@dataclass(frozen=True)
class LoadedPredictor:
    """The network, evaluator and config of a prediction.

    Attributes:
        trained: the network with the run's weights.
        evaluator: the evaluator, calibrated on the run's recorded validation goodness if it needs calibration.
        config: the run's config, with the requested evaluator and data set.
    """

    trained: Trained
    evaluator: Evaluator
    config: RunConfig


def load_predictor(
    file: RunFile,
    registry: Registry,
    *,
    evaluator: str = "",
    dataset: str = "",
    data_dir: str = "",
    device: str = "cpu",
    download: bool = False,
    trust: bool = False,
) -> LoadedPredictor:
    """Load the network and the evaluator of a finished run.

    Args:
        file: the run file; it can be closed afterwards.
        registry: registry of plugins.
        evaluator: ``NAME`` or ``NAME:key=value,...``; the run's own by default.
        dataset: the data set to predict, in the same form; the run's own by default.
        data_dir: folder of the data set.
        device: device of the network: ``auto``, ``cpu``, ``cuda`` ...
        download: whether to download missing files of the data set; what the file says about it does not matter.
        trust: whether to import the plugins that the file names as ``./file.py`` or ``module:attr``, and to read the
            folder of the data set that it names.

    Raises:
        UsageError: ``evaluator`` or ``dataset`` names another kind of component, or the file names code without
            ``trust``.
        FileError: the run has not finished, or its weights do not match the installed plugins.
        PluginError: a plugin is missing or cannot be loaded.
    """
    config = _config(file, registry, evaluator, dataset, data_dir, download, trust)
    trained = rebuild(file, config, registry, device)
    reader: Evaluator = config.slots["evaluator"].build()
    if type(reader).calibrate is not Evaluator.calibrate:
        with attribute_errors(registry, "calibrating the evaluator"):
            reader.calibrate(read_calibration(file, "pre" if "activations" in reader.needs else ""))
    return LoadedPredictor(trained, reader, config)


def _config(
    file: RunFile, registry: Registry, evaluator: str, dataset: str, data_dir: str, download: bool, trust: bool
) -> RunConfig:
    # the run's config, overridden by the requested components; a prediction needs no probes and no observers
    table: dict[str, Any] = {**file.config, "probes": [], "observers": []}
    check_tables(table, str(file.path))
    table["data"] = {"dir": table.get("data", {}).get("dir", "") if trust else "", "download": download}
    for word, kind in ((evaluator, "evaluator"), (dataset, "dataset")):
        if not word:
            continue
        picked = picks([word], registry)
        if set(picked) != {kind}:
            offers = ", ".join(sorted(picked)) or "nothing"
            raise UsageError(f"{word!r} is not of the kind {kind}; it fills the slot {offers}.")
        if kind == "dataset":
            table["data"] = {**table["data"], "dir": ""}
        table = merge(table, picked)
    if data_dir:
        table = merge(table, {"data": {"dir": str(Path(data_dir).expanduser().resolve())}})
    recorded: Any = file.attributes.get("plugins", [])
    named = code_of(word for word in (evaluator, dataset) if word)
    check_code(code_in(table), named, trust=trust, where=str(file.path), recorded=recorded)
    return resolve(table, registry)
