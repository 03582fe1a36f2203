"""The declared layout of ``run.h5``: every group, dimension, variable and attribute, before anything is written.

The layout follows the conventions of CF and NeXus as xarray, netCDF4 and h5web read them: each dimension has a scale in
the variable's own group, each numeric variable has ``units`` and ``long_name``, NaN means "not measured".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeAlias

FORMAT = 1
"""Version of the file format; increased when an older reader would misread the file. A newer file is refused."""

DType = Literal["f4", "f8", "i4", "i8", "u1", "str"]
IMAGES = "images"
"""The group of recorded images; since version 0.2.0."""
STAGES = {"random": "activation pre normalizer, random label"}
STATISTICS = {
    "unreduced_dead": "fraction of units that are 0 for every recorded image, before reduction",
    "unreduced_active": "fraction of activations that are not 0, before reduction",
    "unreduced_hoyer": "Hoyer's sparsity of an image's activation, before reduction, mean over images",
    "unreduced_class_entropy": "normalized class entropy of a unit's mean absolute activation, before reduction, mean",
}
"""Statistics of a layer's whole activation, for layers whose recorded features are reduced; since version 0.2.0."""


@dataclass(frozen=True)
class Dimension:
    """A named axis of the variables of one group, and the scale that labels it.

    Attributes:
        path: group and name, ``metrics/epoch``.
        size: its length; None for unlimited (at most one such dimension per group).
        dtype: dtype of the scale; ``str`` scales are written before the run starts.
        values: the labels; None for 0, 1, 2 ... (for an unlimited dimension: appended row by row).
        units: units of the scale; ``1`` if it only counts.
        long_name: description for readers.
    """

    path: str
    size: int | None
    dtype: DType = "i8"
    values: tuple[object, ...] | None = None
    units: str = "1"
    long_name: str = ""

    @property
    def group(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Variable:
    """One recorded array.

    Attributes:
        path: group and name, ``metrics/loss``. A probe uses its own names; they are stored below ``probes/NAME``.
        dims: names of dimensions of the same group, slowest first; only the first may be unlimited.
        dtype: ``f4`` unless there is a reason for another dtype.
        units: ``1`` for dimensionless numbers.
        long_name: description for readers; the axis label in xarray plots.
        compress: whether to use gzip level 1 with shuffle, for large arrays.
        attributes: more attributes, plain values.
        dimensions: dimensions that a probe declares together with the variable.
    """

    path: str
    dims: tuple[str, ...]
    dtype: DType = "f4"
    units: str = "1"
    long_name: str = ""
    compress: bool = False
    attributes: Mapping[str, object] = field(default_factory=dict)
    dimensions: tuple[Dimension, ...] = ()

    @property
    def group(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Schema:
    """The declared layout of a whole file.

    Attributes:
        dimensions: every dimension with its scale.
        variables: every array.
        attributes: attributes of the root group.
        groups: attributes of groups, by path.
    """

    dimensions: tuple[Dimension, ...]
    variables: tuple[Variable, ...]
    attributes: Mapping[str, object] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def paths(self) -> set[str]:
        """The path of every dataset in a file with this schema."""
        return {d.path for d in self.dimensions} | {v.path for v in self.variables}

    def unlimited(self) -> tuple[Dimension, ...]:
        """The growing dimensions, in the order of the commit record's columns."""
        return tuple(d for d in self.dimensions if d.size is None and d.group != "commit")


@dataclass(frozen=True)
class ActivationRecord:
    """Recorded activations of one layer at one stage.

    Attributes:
        layer: name of the layer, or ``input`` for the images themselves.
        stage: ``pre`` or ``post``: before or after the normalizer, with the neutral label; ``random``: ``pre`` with a
            random label.
        units: number of features per sample after reduction.
        shape: shape without the batch dimension, before reduction.
        reduction: the reduction to stay within the limit: ``none``, ``average-pool HxW`` or ``every Nth unit``.
    """

    layer: str
    stage: str
    units: int
    shape: tuple[int, ...]
    reduction: str

    @property
    def has_statistics(self) -> bool:
        """Whether the statistics of the unreduced activation are recorded, since the features cannot give them."""
        return self.reduction != "none" and self.stage in ("pre", "post") and self.layer != "input"


@dataclass(frozen=True)
class RunMetadata:
    """The properties of a run that determine the layout of its file.

    Attributes:
        layers: layer names, first to last.
        classes: class names.
        validation: number of validation images.
        test: number of test images; 0 if the test set is not read.
        weights: shape and dtype of every entry of the network's state dict, by name.
        activations: the recorded activations; empty if none are recorded.
        activation_samples: number of images (to fit on, to score on).
        probes: the variables of each probe, by probe name.
        attributes: attributes of the root group.
        images: positions of the recorded images among the ``test``, ``validation`` and ``training`` images.
        image_shape: the shape of one input of the network; of images channels, height and width.
    """

    layers: tuple[str, ...]
    classes: tuple[str, ...]
    validation: int
    test: int
    weights: Mapping[str, tuple[tuple[int, ...], DType]]
    activations: tuple[ActivationRecord, ...] = ()
    activation_samples: tuple[int, int] = (0, 0)
    probes: Mapping[str, Sequence[Variable]] = field(default_factory=dict)
    attributes: Mapping[str, object] = field(default_factory=dict)
    images: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    image_shape: tuple[int, ...] = ()


def run_schema(run: RunMetadata) -> Schema:
    """The layout of one run's file."""
    dimensions: list[Dimension] = []
    variables: list[Variable] = []
    groups: dict[str, Mapping[str, object]] = {}
    for add in (
        _initial, _metrics, _steps, _evaluation, _test, _final, _activations, _images, _weights, _probes, _log,
    ):  # fmt: skip
        add(run, dimensions, variables, groups)
    _commit(dimensions, variables, groups)
    attributes = {"NX_class": "NXroot", "default": "metrics", "ffprobe_format": FORMAT, **run.attributes}
    return Schema(tuple(dimensions), tuple(variables), attributes, groups)


@cache
def standard_ranks() -> Mapping[str, int]:
    """The number of dimensions of every array that each run file has under the same path."""
    schema = run_schema(RunMetadata(("0",), ("a", "b"), 1, 1, {}))
    return {d.path: 1 for d in schema.dimensions} | {v.path: len(v.dims) for v in schema.variables}


Dims: TypeAlias = list[Dimension]
Vars: TypeAlias = list[Variable]
Groups: TypeAlias = dict[str, Mapping[str, object]]


def _layer(group: str, run: RunMetadata) -> Dimension:
    return Dimension(f"{group}/layer", len(run.layers), "str", run.layers, long_name="layer, first to last")


def _initial(run: RunMetadata, dims: Dims, variables: Vars, groups: Groups) -> None:
    g = "initial"
    dims.append(_layer(g, run))
    variables += [
        Variable(f"{g}/weight_norm", ("layer",), long_name="l2 norm of the layer's weight before the first step"),
        Variable(f"{g}/weight_maximum", ("layer",), long_name="largest absolute value in it before the first step"),
    ]
    groups[g] = {}


def _metrics(run: RunMetadata, dims: Dims, variables: Vars, groups: Groups) -> None:
    g = "metrics"
    dims += [Dimension(f"{g}/epoch", None, "i4", units="epoch", long_name="epochs done"), _layer(g, run)]
    per_layer = {
        "loss": "loss of the layer, mean over the epoch's steps",
        "goodness_positive": "goodness of positives, mean over the epoch",
        "goodness_negative": "goodness of negatives, mean over the epoch",
        "validation_accuracy": "validation accuracy from this layer's goodness alone",
        "test_accuracy": "test accuracy, only if the config asks for it in every evaluation",
        "weight_norm": "l2 norm of the layer's weight",
        "weight_maximum": "largest absolute value in the layer's weight",
    }
    variables += [Variable(f"{g}/{name}", ("epoch", "layer"), long_name=text) for name, text in per_layer.items()]
    variables += [
        Variable(f"{g}/model_validation_accuracy", ("epoch",), long_name="validation accuracy by the run's evaluator"),
        Variable(f"{g}/learning_rate", ("epoch",), long_name="learning rate at the end of the epoch"),
        Variable(f"{g}/wall_time", ("epoch",), "f8", units="s", long_name="time since the run began"),
        Variable(f"{g}/images_per_second", ("epoch",), units="1/s", long_name="training images a second"),
    ]
    groups[g] = {
        "NX_class": "NXdata",
        "signal": "loss",
        "auxiliary_signals": ["validation_accuracy", "goodness_positive", "goodness_negative"],
        "axes": ["epoch", "."],
    }


def _steps(run: RunMetadata, dims: Dims, variables: Vars, groups: Groups) -> None:
    g = "steps"
    dims += [Dimension(f"{g}/step", None, "i8", units="step", long_name="optimizer step, from 0"), _layer(g, run)]
    for name, text in (
        ("loss", "loss of the layer at this step, before its update"),
        ("goodness_positive", "goodness of positives, mean over the batch"),
        ("goodness_negative", "goodness of negatives, mean over the batch"),
    ):
        variables.append(Variable(f"{g}/{name}", ("step", "layer"), long_name=text))
    groups[g] = {"NX_class": "NXdata", "signal": "loss", "axes": ["step", "."]}


def _evaluation(run: RunMetadata, dims: Dims, variables: Vars, groups: Groups) -> None:
    if not run.validation:  # an array cannot grow by empty rows in HDF5
        return
    g = "evaluation"
    dims += [
        Dimension(f"{g}/epoch", None, "i4", units="epoch", long_name="epochs done when evaluated"),
        _layer(g, run),
        Dimension(f"{g}/sample", run.validation, long_name="validation image"),
        Dimension(f"{g}/label", len(run.classes), "str", run.classes, long_name="label tried"),
    ]
    variables += [
        Variable(f"{g}/goodness", ("epoch", "layer", "sample", "label"), compress=True, long_name="goodness"),
        Variable(f"{g}/true_label", ("sample",), "i4", long_name="true label"),
        Variable(f"{g}/source_index", ("sample",), "i8", long_name="index in the data set's training split"),
    ]
    groups[g] = {}


def _test(run: RunMetadata, dims: Dims, variables: Vars, groups: Groups) -> None:
    if not run.test:
        return
    g = "test"
    dims += [
        _layer(g, run),
        Dimension(f"{g}/sample", run.test, long_name="test image"),
        Dimension(f"{g}/label", len(run.classes), "str", run.classes, long_name="label tried"),
    ]
    variables += [
        Variable(f"{g}/goodness", ("layer", "sample", "label"), compress=True, long_name="goodness"),
        Variable(f"{g}/true_label", ("sample",), "i4", long_name="true label"),
    ]
    groups[g] = {}


def _final(run: RunMetadata, dims: Dims, variables: Vars, groups: Groups) -> None:
    g = "final"
    dims.append(_layer(g, run))
    variables += [
        Variable(f"{g}/validation_accuracy", ("layer",), long_name="validation accuracy from this layer alone"),
        Variable(f"{g}/test_accuracy", ("layer",), long_name="test accuracy from this layer alone"),
        Variable(f"{g}/model_validation_accuracy", (), long_name="validation accuracy by the run's evaluator"),
        Variable(f"{g}/model_test_accuracy", (), long_name="test accuracy by the run's evaluator"),
        Variable(f"{g}/wall_time", (), "f8", units="s", long_name="time from first to last step, evaluation included"),
        Variable(f"{g}/peak_memory", (), "f8", units="B", long_name="peak memory of the process or of the device"),
    ]
    groups[g] = {}


def _activations(run: RunMetadata, dims: Dims, variables: Vars, groups: Groups) -> None:
    if not run.activations:
        return
    fit, score = run.activation_samples
    for record in run.activations:
        g = f"activations/{record.layer}/{record.stage}"
        dims += [
            Dimension(f"{g}/epoch", None, "i4", units="epoch", long_name="epochs done; 0 is the untrained network"),
            Dimension(f"{g}/sample", fit + score, long_name="image; the first ones are for fitting"),
            Dimension(f"{g}/unit", record.units, long_name="unit"),
        ]
        variables.append(
            Variable(
                f"{g}/activation",
                ("epoch", "sample", "unit"),
                compress=True,
                long_name=STAGES.get(record.stage, f"activation {record.stage} normalizer, neutral label"),
                attributes={"shape": list(record.shape), "reduction": record.reduction},
            )
        )
        if record.has_statistics:
            variables += [Variable(f"{g}/{name}", ("epoch",), long_name=text) for name, text in STATISTICS.items()]
        groups[g] = {}
    g = "activations"
    dims.append(Dimension(f"{g}/sample", fit + score, long_name="image; the first ones are for fitting"))
    variables += [
        Variable(f"{g}/true_label", ("sample",), "i4", long_name="true label"),
        Variable(f"{g}/source_index", ("sample",), "i8", long_name="index in the data set's training split"),
        Variable(f"{g}/held_out", ("sample",), "i4", long_name="1: a validation image, 0: trained on"),
    ]
    groups[g] = {"label_input": "neutral"}


def _images(run: RunMetadata, dims: Dims, variables: Vars, groups: Groups) -> None:
    for part, indices in run.images.items():
        if not indices:
            continue
        g = f"{IMAGES}/{part}"
        sample = Dimension(f"{g}/sample", len(indices), values=indices, long_name=f"position among the {part} images")
        names = ("channel", "row", "column")
        axes = [
            Dimension(f"{g}/{name}", size, long_name=name) for name, size in zip(names, run.image_shape, strict=True)
        ]
        dims += [sample, *axes]
        dimensions = ("sample", *names)
        split = "test" if part == "test" else "training"
        variables += [
            Variable(f"{g}/pixel", dimensions, "u1", compress=True, long_name="pixel, 0 to 255"),
            Variable(f"{g}/source_index", ("sample",), "i8", long_name=f"index in the data set's {split} split"),
        ]
        groups[g] = {}


def _weights(run: RunMetadata, dims: Dims, variables: Vars, groups: Groups) -> None:
    for name, (shape, dtype) in run.weights.items():
        owner, dot, parameter = name.partition(".")
        g, parameter = (f"weights/{owner}", parameter) if dot else ("weights", name)
        names = tuple(f"{parameter}.axis{axis}" for axis in range(len(shape)))
        dims += [Dimension(f"{g}/{n}", size) for n, size in zip(names, shape, strict=True)]
        variables.append(Variable(f"{g}/{parameter}", names, dtype, long_name=f"final {name}"))
        groups.setdefault(g, {})


def _probes(run: RunMetadata, dims: Dims, variables: Vars, groups: Groups) -> None:
    for probe, declared in run.probes.items():
        seen: dict[str, Dimension] = {}
        for variable in declared:
            for d in variable.dimensions:
                path = f"probes/{probe}/{d.path}"
                if path not in seen:
                    seen[path] = d
                    dims.append(Dimension(path, d.size, d.dtype, d.values, d.units, d.long_name))
                elif seen[path] != d:
                    raise ValueError(f"{path} is declared twice with different properties.")
            variables.append(
                Variable(
                    f"probes/{probe}/{variable.path}",
                    variable.dims,
                    variable.dtype,
                    variable.units,
                    variable.long_name,
                    variable.compress,
                    variable.attributes,
                )
            )
            groups.setdefault(f"probes/{probe}", {})


def _log(run: RunMetadata, dims: Dims, variables: Vars, groups: Groups) -> None:
    g = "log"
    dims += [
        Dimension(f"{g}/entry", None, "i8", long_name="entry"),
        Dimension(f"{g}/byte", 400, "i4", long_name="byte of the UTF-8 text, zero padded"),
    ]
    variables += [
        Variable(f"{g}/step", ("entry",), "i8", units="step", long_name="optimizer steps done"),
        Variable(f"{g}/message", ("entry", "byte"), "u1", long_name="what happened (bytes: HDF5 forbids strings here)"),
    ]
    groups[g] = {}


def _commit(dims: Dims, variables: Vars, groups: Groups) -> None:
    g = "commit"
    grown = [d.path for d in dims if d.size is None]
    dims += [
        Dimension(f"{g}/commit", None, "i8", long_name="commit, from 0"),
        Dimension(f"{g}/dimension", len(grown), "str", tuple(grown), long_name="a dimension that grows"),
    ]
    variables += [
        Variable(f"{g}/length", ("commit", "dimension"), "i8", long_name="committed length of the dimension"),
        Variable(f"{g}/checksum", ("commit",), "i8", long_name="CRC-32 of the row of lengths, as little-endian int64"),
    ]
    groups[g] = {}


def groups_of(paths: Iterable[str]) -> set[str]:
    """Every group that contains one of the paths, including parent groups."""
    groups: set[str] = set()
    for path in paths:
        parents = path.split("/")[:-1]
        groups |= {"/".join(parents[: i + 1]) for i in range(len(parents))}
    return groups
