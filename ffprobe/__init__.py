"""Train, take apart and compare networks that learn without a global backward pass.

Importing this package loads neither torch nor anything else heavy; each public name is loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ffprobe.runtime.huge_pages import ask_for_huge_pages
from ffprobe.runtime.version import __version__

if TYPE_CHECKING:
    from ffprobe.analysis.evaluators.calibrating import cheapest_within, read_calibration
    from ffprobe.analysis.evaluators.early_exit import Outlook, fit_outlook
    from ffprobe.analysis.evaluators.reading import Reading, cross_fitted, read_sweep
    from ffprobe.analysis.measures.attenuation import attenuation
    from ffprobe.analysis.measures.cka import CentredFeatures, linear_cka
    from ffprobe.analysis.measures.margins import true_and_wrong
    from ffprobe.analysis.measures.mutual_information import confusion_information, label_information_bound
    from ffprobe.analysis.measures.paired import accuracy_gain, direction
    from ffprobe.analysis.measures.reliability import fit_temperature, probability_quality
    from ffprobe.analysis.measures.representation import Representation, describe_representation
    from ffprobe.analysis.measures.statistics import Estimate, paired_bootstrap, welch_difference
    from ffprobe.analysis.plots.depth_lines import lines_by_depth
    from ffprobe.analysis.plots.figure import line_by_layer, line_look
    from ffprobe.analysis.plots.heat_map import heat_map
    from ffprobe.analysis.probing.heads import head_log_probabilities, train_heads
    from ffprobe.analysis.probing.readout import Head, fit_feature_head, fit_head
    from ffprobe.analysis.result.claim import GROWTH_EPOCHS, Claim
    from ffprobe.analysis.result.column import Column
    from ffprobe.analysis.result.joint_claim import in_setting, joint_claim, joint_notes
    from ffprobe.analysis.result.result import Result
    from ffprobe.analysis.runs.comparison import compare_groups
    from ffprobe.analysis.runs.grouping import group_differences, group_runs, settings_labels
    from ffprobe.analysis.runs.labels import run_components, run_labels
    from ffprobe.analysis.runs.recorded_activations import RecordedActivations
    from ffprobe.analysis.runs.summary import summarize
    from ffprobe.api import analyze, predict, run
    from ffprobe.components.base import Params, Shape
    from ffprobe.components.dataset import Dataset
    from ffprobe.components.encoder import Encoder
    from ffprobe.components.evaluator import Evaluator
    from ffprobe.components.executor import Executor, Job, JobEvent, Share
    from ffprobe.components.goodness import Goodness
    from ffprobe.components.loss import Loss, LossContext
    from ffprobe.components.negatives import Negatives
    from ffprobe.components.network import LayerSpec, Network, Shortcut
    from ffprobe.components.normalizer import Normalizer
    from ffprobe.components.peer import Heard, Peer, ReplayPlan, Tolerance, Trajectory
    from ffprobe.components.probe import Probe
    from ffprobe.components.process_group import Team
    from ffprobe.components.rule import Bench, Learner, Rule, Update
    from ffprobe.components.scheduler import UpdateScheduler
    from ffprobe.data.cached_images import cached_images
    from ffprobe.data.cifar_batches import read_cifar
    from ffprobe.data.idx import idx_names, read_idx_split
    from ffprobe.data.images import Images, channel_statistics
    from ffprobe.data.published import published_folder, read_with_torchvision
    from ffprobe.errors import FfprobeError, FileError, PluginError, UsageError
    from ffprobe.estimator import ForwardForwardClassifier
    from ffprobe.hookspecs import hookimpl
    from ffprobe.inference.evaluate import last_layer_goodness
    from ffprobe.inference.recorded_run import RecordedRun
    from ffprobe.inference.recorded_run import open_recorded as open
    from ffprobe.network.convolutions import convolutions
    from ffprobe.network.network import Stack
    from ffprobe.network.square_sums import square_sums
    from ffprobe.network.stored import flat_as_stored
    from ffprobe.plugin.registry import registered
    from ffprobe.prediction.calibration import Calibration
    from ffprobe.prediction.label_scan import Sweep
    from ffprobe.prediction.recorded_label_scan import RecordedSweep
    from ffprobe.store.reader import RunFile
    from ffprobe.store.schema import Dimension, Variable
    from ffprobe.training.group_learner import GroupLearner
    from ffprobe.training.groups import groups_of_step
    from ffprobe.training.sandbox import Rehearsal


ask_for_huge_pages()  # before torch allocates anything

_HOME = {
    "Bench": "components.rule",
    "Calibration": "prediction.calibration",
    "CentredFeatures": "analysis.measures.cka",
    "Claim": "analysis.result.claim",
    "Column": "analysis.result.column",
    "Dataset": "components.dataset",
    "Dimension": "store.schema",
    "Encoder": "components.encoder",
    "Estimate": "analysis.measures.statistics",
    "Evaluator": "components.evaluator",
    "Executor": "components.executor",
    "FfprobeError": "errors",
    "FileError": "errors",
    "ForwardForwardClassifier": "estimator",
    "GROWTH_EPOCHS": "analysis.result.claim",
    "Goodness": "components.goodness",
    "GroupLearner": "training.group_learner",
    "Head": "analysis.probing.readout",
    "Heard": "components.peer",
    "Images": "data.images",
    "Job": "components.executor",
    "JobEvent": "components.executor",
    "LayerSpec": "components.network",
    "Learner": "components.rule",
    "Loss": "components.loss",
    "LossContext": "components.loss",
    "Negatives": "components.negatives",
    "Network": "components.network",
    "Normalizer": "components.normalizer",
    "Outlook": "analysis.evaluators.early_exit",
    "Params": "components.base",
    "Peer": "components.peer",
    "PluginError": "errors",
    "Probe": "components.probe",
    "Reading": "analysis.evaluators.reading",
    "RecordedActivations": "analysis.runs.recorded_activations",
    "RecordedRun": "inference.recorded_run",
    "RecordedSweep": "prediction.recorded_label_scan",
    "Rehearsal": "training.sandbox",
    "ReplayPlan": "components.peer",
    "Representation": "analysis.measures.representation",
    "Result": "analysis.result.result",
    "Rule": "components.rule",
    "RunFile": "store.reader",
    "Shape": "components.base",
    "Share": "components.executor",
    "Shortcut": "components.network",
    "Stack": "network.network",
    "Sweep": "prediction.label_scan",
    "Team": "components.process_group",
    "Tolerance": "components.peer",
    "Trajectory": "components.peer",
    "Update": "components.rule",
    "UpdateScheduler": "components.scheduler",
    "UsageError": "errors",
    "Variable": "store.schema",
    "accuracy_gain": "analysis.measures.paired",
    "analyze": "api",
    "attenuation": "analysis.measures.attenuation",
    "cached_images": "data.cached_images",
    "channel_statistics": "data.images",
    "cheapest_within": "analysis.evaluators.calibrating",
    "compare_groups": "analysis.runs.comparison",
    "confusion_information": "analysis.measures.mutual_information",
    "convolutions": "network.convolutions",
    "cross_fitted": "analysis.evaluators.reading",
    "describe_representation": "analysis.measures.representation",
    "direction": "analysis.measures.paired",
    "fit_feature_head": "analysis.probing.readout",
    "fit_head": "analysis.probing.readout",
    "fit_outlook": "analysis.evaluators.early_exit",
    "fit_temperature": "analysis.measures.reliability",
    "flat_as_stored": "network.stored",
    "square_sums": "network.square_sums",
    "group_differences": "analysis.runs.grouping",
    "group_runs": "analysis.runs.grouping",
    "groups_of_step": "training.groups",
    "head_log_probabilities": "analysis.probing.heads",
    "heat_map": "analysis.plots.heat_map",
    "hookimpl": "hookspecs",
    "idx_names": "data.idx",
    "in_setting": "analysis.result.joint_claim",
    "joint_claim": "analysis.result.joint_claim",
    "joint_notes": "analysis.result.joint_claim",
    "label_information_bound": "analysis.measures.mutual_information",
    "last_layer_goodness": "inference.evaluate",
    "line_by_layer": "analysis.plots.figure",
    "line_look": "analysis.plots.figure",
    "linear_cka": "analysis.measures.cka",
    "lines_by_depth": "analysis.plots.depth_lines",
    "open": "inference.recorded_run:open_recorded",
    "paired_bootstrap": "analysis.measures.statistics",
    "predict": "api",
    "probability_quality": "analysis.measures.reliability",
    "published_folder": "data.published",
    "read_calibration": "analysis.evaluators.calibrating",
    "read_cifar": "data.cifar_batches",
    "read_idx_split": "data.idx",
    "read_sweep": "analysis.evaluators.reading",
    "read_with_torchvision": "data.published",
    "registered": "plugin.registry",
    "run": "api",
    "run_components": "analysis.runs.labels",
    "run_labels": "analysis.runs.labels",
    "settings_labels": "analysis.runs.grouping",
    "summarize": "analysis.runs.summary",
    "train_heads": "analysis.probing.heads",
    "true_and_wrong": "analysis.measures.margins",
    "welch_difference": "analysis.measures.statistics",
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
