"""Train, take apart and compare networks that learn without a global backward pass.

Importing this package loads neither torch nor anything else heavy; each public name is loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ffprobe.huge_pages import ask_for_huge_pages

if TYPE_CHECKING:
    from ffprobe.analysis.attenuation import attenuation
    from ffprobe.analysis.calibrating import cheapest_within, read_calibration
    from ffprobe.analysis.cka import CentredFeatures, linear_cka
    from ffprobe.analysis.claim import GROWTH_EPOCHS, Claim
    from ffprobe.analysis.column import Column
    from ffprobe.analysis.comparison import compare_groups
    from ffprobe.analysis.depth_lines import lines_by_depth
    from ffprobe.analysis.figure import line_by_layer, line_look
    from ffprobe.analysis.grouping import group_differences, group_runs, settings_labels
    from ffprobe.analysis.heads import head_log_probabilities, train_heads
    from ffprobe.analysis.heat_map import heat_map
    from ffprobe.analysis.joint_claim import in_setting, joint_claim, joint_notes
    from ffprobe.analysis.labels import run_components, run_labels
    from ffprobe.analysis.margins import true_and_wrong
    from ffprobe.analysis.mutual_information import confusion_information, label_information_bound
    from ffprobe.analysis.outlook import Outlook, fit_outlook
    from ffprobe.analysis.paired import accuracy_gain, direction
    from ffprobe.analysis.reading import Reading, cross_fitted, read_sweep
    from ffprobe.analysis.readout import Head, fit_feature_head, fit_head
    from ffprobe.analysis.recorded_activations import RecordedActivations
    from ffprobe.analysis.reliability import fit_temperature, probability_quality
    from ffprobe.analysis.representation import Representation, describe_representation
    from ffprobe.analysis.result import Result
    from ffprobe.analysis.statistics import Estimate, paired_bootstrap, welch_difference
    from ffprobe.analysis.summary import summarize
    from ffprobe.api import analyze, predict, run
    from ffprobe.components import (
        Bench,
        Dataset,
        Encoder,
        Evaluator,
        Executor,
        Goodness,
        LayerSpec,
        Learner,
        Loss,
        LossContext,
        Negatives,
        Network,
        Normalizer,
        Params,
        Peer,
        Probe,
        Rule,
        Shape,
        Update,
        UpdateScheduler,
    )
    from ffprobe.data.cached_images import cached_images
    from ffprobe.data.cifar_batches import read_cifar
    from ffprobe.data.idx import idx_names, read_idx_split
    from ffprobe.data.images import Images, channel_statistics
    from ffprobe.data.published import published_folder, read_with_torchvision
    from ffprobe.data.square_sums import square_sums
    from ffprobe.data.stored import flat_as_stored
    from ffprobe.errors import FfprobeError, FileError, PluginError, UsageError
    from ffprobe.estimator import ForwardForwardClassifier
    from ffprobe.hookspecs import hookimpl
    from ffprobe.job import Job, JobEvent, Share
    from ffprobe.layer_spec import Shortcut
    from ffprobe.prediction.calibration import Calibration
    from ffprobe.prediction.recorded_sweep import RecordedSweep
    from ffprobe.prediction.sweep import Sweep
    from ffprobe.recorded_run import RecordedRun
    from ffprobe.recorded_run import open_recorded as open
    from ffprobe.registry import registered
    from ffprobe.store.reader import RunFile
    from ffprobe.store.schema import Dimension, Variable
    from ffprobe.team import Team
    from ffprobe.training.convolutions import convolutions
    from ffprobe.training.evaluate import last_layer_goodness
    from ffprobe.training.group_learner import GroupLearner
    from ffprobe.training.groups import groups_of_step
    from ffprobe.training.network import Stack
    from ffprobe.training.rehearsal import Rehearsal
    from ffprobe.trajectory import Heard, ReplayPlan, Tolerance, Trajectory

__version__ = "0.1.0"

ask_for_huge_pages()  # before torch allocates anything

_HOME = {
    "Bench": "components",
    "Calibration": "prediction.calibration",
    "CentredFeatures": "analysis.cka",
    "Claim": "analysis.claim",
    "Column": "analysis.column",
    "Dataset": "components",
    "Dimension": "store.schema",
    "Encoder": "components",
    "Estimate": "analysis.statistics",
    "Evaluator": "components",
    "Executor": "components",
    "FfprobeError": "errors",
    "FileError": "errors",
    "ForwardForwardClassifier": "estimator",
    "GROWTH_EPOCHS": "analysis.claim",
    "Goodness": "components",
    "GroupLearner": "training.group_learner",
    "Head": "analysis.readout",
    "Heard": "trajectory",
    "Images": "data.images",
    "Job": "job",
    "JobEvent": "job",
    "LayerSpec": "components",
    "Learner": "components",
    "Loss": "components",
    "LossContext": "components",
    "Negatives": "components",
    "Network": "components",
    "Normalizer": "components",
    "Outlook": "analysis.outlook",
    "Params": "components",
    "Peer": "components",
    "PluginError": "errors",
    "Probe": "components",
    "Reading": "analysis.reading",
    "RecordedActivations": "analysis.recorded_activations",
    "RecordedRun": "recorded_run",
    "RecordedSweep": "prediction.recorded_sweep",
    "Rehearsal": "training.rehearsal",
    "ReplayPlan": "trajectory",
    "Representation": "analysis.representation",
    "Result": "analysis.result",
    "Rule": "components",
    "RunFile": "store.reader",
    "Shape": "components",
    "Share": "job",
    "Shortcut": "layer_spec",
    "Stack": "training.network",
    "Sweep": "prediction.sweep",
    "Team": "team",
    "Tolerance": "trajectory",
    "Trajectory": "trajectory",
    "Update": "components",
    "UpdateScheduler": "components",
    "UsageError": "errors",
    "Variable": "store.schema",
    "accuracy_gain": "analysis.paired",
    "analyze": "api",
    "attenuation": "analysis.attenuation",
    "cached_images": "data.cached_images",
    "channel_statistics": "data.images",
    "cheapest_within": "analysis.calibrating",
    "compare_groups": "analysis.comparison",
    "confusion_information": "analysis.mutual_information",
    "convolutions": "training.convolutions",
    "cross_fitted": "analysis.reading",
    "describe_representation": "analysis.representation",
    "direction": "analysis.paired",
    "fit_feature_head": "analysis.readout",
    "fit_head": "analysis.readout",
    "fit_outlook": "analysis.outlook",
    "fit_temperature": "analysis.reliability",
    "flat_as_stored": "data.stored",
    "square_sums": "data.square_sums",
    "group_differences": "analysis.grouping",
    "group_runs": "analysis.grouping",
    "groups_of_step": "training.groups",
    "head_log_probabilities": "analysis.heads",
    "heat_map": "analysis.heat_map",
    "hookimpl": "hookspecs",
    "idx_names": "data.idx",
    "in_setting": "analysis.joint_claim",
    "joint_claim": "analysis.joint_claim",
    "joint_notes": "analysis.joint_claim",
    "label_information_bound": "analysis.mutual_information",
    "last_layer_goodness": "training.evaluate",
    "line_by_layer": "analysis.figure",
    "line_look": "analysis.figure",
    "linear_cka": "analysis.cka",
    "lines_by_depth": "analysis.depth_lines",
    "open": "recorded_run:open_recorded",
    "paired_bootstrap": "analysis.statistics",
    "predict": "api",
    "probability_quality": "analysis.reliability",
    "published_folder": "data.published",
    "read_calibration": "analysis.calibrating",
    "read_cifar": "data.cifar_batches",
    "read_idx_split": "data.idx",
    "read_sweep": "analysis.reading",
    "read_with_torchvision": "data.published",
    "registered": "registry",
    "run": "api",
    "run_components": "analysis.labels",
    "run_labels": "analysis.labels",
    "settings_labels": "analysis.grouping",
    "summarize": "analysis.summary",
    "train_heads": "analysis.heads",
    "true_and_wrong": "analysis.margins",
    "welch_difference": "analysis.statistics",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'ffprobe' has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    value = getattr(import_module(f"ffprobe.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
