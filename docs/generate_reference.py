"""The reference of the Python API: one page for each role of a reader, rendered by mkdocstrings from the docstrings."""

from __future__ import annotations

import re
from pathlib import Path

STUB = Path(__file__).parents[1] / "ffprobe" / "__init__.pyi"
IMPORT = re.compile(r"^from \.([\w.]+) import (\w+) as (\w+)$", re.M)

ROLES: dict[str, tuple[str, str, dict[str, tuple[str, ...]]]] = {
    "user": (
        "API for users",
        "What a script or a notebook needs: train, open, analyze, predict."
        " [From Python](../api.md) shows every one of them in use.",
        {
            "Functions": ("run", "cut", "open", "analyze", "predict", "export", "list_runs"),
            "scikit-learn": ("ForwardForwardClassifier",),
            "Runs and results": ("RecordedRun", "RunFile", "Export", "ListedRun", "Result", "Column", "Claim"),
            "Data": ("Samples", "Images"),
            "Errors": ("FfprobeError", "UsageError", "PluginError", "FileError"),
            "Version": ("__version__",),
        },
    ),
    "plugin-author": (
        "API for plugin authors",
        "The base classes of components and what their methods receive and return."
        " [Write a plugin](../plugins/README.md) explains them; [components](../components.md) lists every check of"
        " each contract, [hooks](../hooks.md) every hook.",
        {
            "All components": ("hookimpl", "Params", "Shape", "registered"),
            "Data sets": ("Dataset", "array_inputs", "class_labels", "train_test_indices"),
            "Networks": ("Network", "LayerSpec", "Shortcut"),
            "Encoders, normalizers, goodness, negatives": ("Encoder", "Normalizer", "Goodness", "Negatives"),
            "Losses": ("Loss", "LossContext"),
            "Update schedulers and rules": ("UpdateScheduler", "Rule", "Learner", "LearnerSetup", "Update", "Sandbox"),
            "Evaluators": ("Evaluator", "LabelScan", "Calibration"),
            "Contexts of hooks": ("RunContext", "EpochContext", "UpdateContext", "StepContext"),
            "Probes": (
                "Probe",
                "PerRunProbe",
                "Variable",
                "Dimension",
                "line_by_layer",
                "run_labels",
                "layer_numbers",
                "run_components",
                "settings_labels",
                "summarize",
            ),
            "Observers": ("Observer",),
            "Executors": ("Executor", "Job", "JobEvent", "ResourceLimits"),
            "Peers": ("Peer", "Trajectory", "ReplayPlan", "ReplayRecord", "Tolerance"),
        },
    ),
    "internal": (
        "API of the first-party plugins",
        "What the plugins of this repository import beside the names of the other two pages. These names work for every"
        " plugin, but they follow the needs of the first-party ones and may change in any minor version.",
        {
            "Networks and learners": (
                "LayeredNetwork",
                "GroupLearner",
                "groups_of_step",
                "ProcessGroup",
                "stream",
                "convolutions",
                "square_sums",
                "flat_as_stored",
                "OperationCounter",
                "EnergyMeter",
            ),
            "Evaluation": (
                "goodness_for_negatives",
                "predicted_labels",
                "RecordedNetwork",
                "RecordedLabelScan",
                "evaluate",
                "EvaluationResult",
                "cross_fitted",
                "read_calibration",
                "select_cheapest",
                "layer_multiply_adds",
                "EarlyExitModel",
                "fit_early_exit",
            ),
            "Linear probes and heads": (
                "Head",
                "fit_head",
                "fit_feature_head",
                "train_heads",
                "head_log_probabilities",
                "fit_recorded_heads",
                "RecordedActivations",
            ),
            "Cache and progress": ("cached", "without_cache", "report_progress"),
            "Measures": (
                "Representation",
                "describe_representation",
                "CentredFeatures",
                "linear_cka",
                "attenuation",
                "true_and_wrong",
                "confusion_information",
                "label_information_bound",
                "fit_temperature",
                "probability_quality",
            ),
            "Statistics and comparison": (
                "Estimate",
                "mean_bootstrap",
                "paired_bootstrap",
                "welch_difference",
                "accuracy_gain",
                "GAIN_CRITERION",
                "GainTest",
                "falling_steps",
                "gain_test",
                "gain_over_seeds",
                "normal_p",
                "seed_groups",
                "compare_groups",
                "Comparison",
                "group_runs",
                "RunGroup",
                "group_differences",
            ),
            "Claims of papers": (
                "GROWTH_EPOCHS",
                "in_setting",
                "PaperSetting",
                "paper_setting",
                "RunVerdict",
                "judge",
                "joint_claim",
                "joint_notes",
            ),
            "Figures": ("Panel", "Series", "lines_by_depth", "line_look", "stage_lines", "stage_key", "heat_map"),
            "Readers of data sets": (
                "cached_images",
                "channel_statistics",
                "read_cifar",
                "idx_names",
                "read_idx_split",
                "published_folder",
                "read_with_torchvision",
            ),
        },
    ),
}
"""Each role's page: its title, its introduction, and the public names under their headings."""


def public_names() -> dict[str, str]:
    """Every public name of the stub, and the dotted path of what it names."""
    return {name: f"ffprobe.{module}.{own}" for module, own, name in IMPORT.findall(STUB.read_text("utf-8"))}


def names_of(role: str) -> list[str]:
    """The public names on the page of a role, in order."""
    return [name for names in ROLES[role][2].values() for name in names]


def reference_pages(note: str) -> dict[str, str]:
    """Every page by its path below docs/.

    Raises:
        KeyError: a role lists a name that is not public.
    """
    paths = public_names()
    pages = {}
    for role, (title, intro, groups) in ROLES.items():
        text = f"# {title}\n\n{note}{intro}\n"
        for heading, names in groups.items():
            text += f"\n## {heading}\n"
            for name in names:
                text += f"\n::: {paths[name]}\n    options:\n      heading: ffprobe.{name}\n"
        pages[f"reference/{role}.md"] = text
    return pages
