"""The metadata of a run: what the layout of its file depends on, and the attributes of the file's root."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import h5py
import torch

from ffprobe.config.trust import recorded_code
from ffprobe.hookspecs import HOOK_VERSION
from ffprobe.network.compiling import choose_compile
from ffprobe.network.multiply_adds import multiply_adds
from ffprobe.runtime.precision import native_bf16
from ffprobe.runtime.processor import processor_model, processor_rates
from ffprobe.runtime.version import __version__
from ffprobe.store.schema import ActivationRecord, DType, RunMetadata, Variable
from ffprobe.training.experiment import Experiment
from ffprobe.training.image_choice import recorded_pixels

MAX_GROUPS = 1_000
"""Update groups in the file; a schedule of random groups of a deep network may have more."""
MAX_NAMES = 4_000
"""Names of features in the file; an attribute must stay small."""
TEST_READ = {"end": "once, at the end", "never": "never", "every": "at every evaluation"}


def run_metadata(
    experiment: Experiment,
    records: Sequence[ActivationRecord],
    samples: tuple[int, int],
    probes: Mapping[str, Sequence[Variable]],
    command: str = "",
) -> RunMetadata:
    """The metadata of one experiment.

    Args:
        experiment: the experiment.
        records: the activations that are recorded.
        samples: number of images for fitting and number of held-out images among the recorded activations.
        probes: the variables of each probe, by the probe's name.
        command: the command line, saved so that a reader of the file can repeat it.
    """
    split = experiment.split
    return RunMetadata(
        layers=tuple(info.name for info in experiment.network.describe()),
        classes=split.train.classes,
        validation=len(split.validation),
        test=len(split.test) if split.test else 0,
        weights={name: (tuple(v.shape), _dtype(v)) for name, v in experiment.network.named_state().items()},
        activations=tuple(records),
        activation_samples=samples,
        probes=probes,
        attributes=_attributes(experiment, command),
        images=recorded_pixels(experiment, samples),
        image_shape=split.train.shape,
    )


def _dtype(value: torch.Tensor) -> DType:
    if value.dtype == torch.float64:
        return "f8"
    return "f4" if value.dtype.is_floating_point else "i8"


def _placement(experiment: Experiment) -> dict[str, str]:
    """Which process trains which layers, if processes divide them."""
    if not experiment.pipeline:
        return {}
    placement, replicas = experiment.pipeline.placement.to_dict(), experiment.pipeline.grid.replicas
    return {"placement": json.dumps({**placement, "processes_per_stage": replicas} if replicas > 1 else placement)}


def _attributes(experiment: Experiment, command: str) -> dict[str, object]:
    config, split = experiment.config, experiment.split
    document = config.to_dict()
    plugins = [recorded_code(plugin) for plugin in experiment.registry.loaded]
    attributes: dict[str, object] = {
        "title": f"{document['dataset']['name']}, {document['network']['name']}, seed {document['seed']}",
        "config_json": json.dumps(document),
        "command": command,
        "seed": config.settings.seed,
        "created_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "ffprobe_version": __version__,
        "hook_version": HOOK_VERSION,
        "python_version": platform.python_version(),
        "torch_version": torch.__version__,
        "numpy_version": version("numpy"),
        "h5py_version": h5py.__version__,
        "hdf5_version": h5py.version.hdf5_version,
        "platform": platform.platform(),
        "device": _device_name(experiment.device),
        "processor": processor_model(),
        **_bf16_speedup(experiment),
        "precision": experiment.precision,
        "compiled": int(choose_compile(config.settings.training.compile, experiment.device)),
        "threads": torch.get_num_threads(),
        "processes": experiment.process_group.size,
        "process_backend": experiment.process_group.backend or "none",
        **_placement(experiment),
        "plugins": plugins,
        "dataset_sha256": split.train.sha256(),
        "validation_sha256": split.validation.sha256(),
        "class_names": list(split.train.classes),
        "input_kind": split.train.kind,
        "image_shape": list(split.train.shape),
        "image_mean": list(split.train.mean),
        "image_std": list(split.train.std),
        "training_images": len(split.train),
        "test_set_read": TEST_READ[config.settings.training.test],
        "goodness_form": experiment.network.form,
        "layer_multiply_adds": multiply_adds(experiment.network, split.train.shape),
        "layer_kinds": [info.kind for info in experiment.network.describe()],
        "layer_shapes": ["x".join(map(str, info.output_shape)) for info in experiment.network.describe()],
        "layer_parameters": [info.parameters for info in experiment.network.describe()],
        "update_groups": [f"{first + 1}-{stop}" for first, stop in experiment.setup.groups][:MAX_GROUPS],
        "encoder_learned": int(any(p.requires_grad for p in experiment.network.encoder.parameters())),
    }
    if split.train.features and len(split.train.features) <= MAX_NAMES:
        attributes["feature_names"] = list(split.train.features)
    if split.test is not None:
        attributes["test_sha256"] = split.test.sha256()
    return attributes


def _bf16_speedup(experiment: Experiment) -> dict[str, float]:
    """Why ``auto`` chose its precision, where it was measured."""
    automatic = experiment.config.settings.precision == "auto" and experiment.device.type == "cpu"
    return {"bf16_speedup": processor_rates().speedup} if automatic and native_bf16(experiment.device) else {}


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type} ({platform.machine()})"
