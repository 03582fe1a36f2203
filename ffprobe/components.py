"""The kinds of component: what a plugin may supply, and what each kind must obey.

A component is a class with a ``name``. It is chosen by a run's config, gets its own settings (``Params``) and nothing
else from the config. Importing this module loads no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ffprobe.data.images import Images
    from ffprobe.hookspecs import RunContext
    from ffprobe.store.reader import RunFile
    from ffprobe.store.schema import Variable

Shape = tuple[int, ...]
"""The shape of one input without the batch: ``(channels, height, width)`` or ``(features,)``."""

Form = Literal["pair", "class"]
"""``pair``: one goodness per input, ``[B]``; ``class``: one goodness per input and class, ``[B, K]``."""


class Params(BaseModel):
    """The settings of one component: frozen, unknown keys refused, every field described with its unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class Component(ABC):  # noqa: B024  (each kind adds its own abstract methods)
    """What every kind of component has in common.

    Attributes:
        kind: the slot that the component fills, set by the kind's base class.
        name: what a user types; kebab-case, unique in its kind.
        aliases: names that published code and recorded trajectories use for the same thing.
        source: paper, section or equation that the component follows.
        Params: the settings that ``--plugin name:key=value`` and TOML fill.
        params: the settings of this instance.
    """

    kind: ClassVar[str] = ""
    name: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str] = ""
    Params: ClassVar[type[BaseModel]] = Params

    def __init__(self, params: BaseModel | None = None) -> None:
        self.params: Any = self.Params() if params is None else params

    def state_dict(self) -> dict[str, Any]:
        """What the component keeps from step to step (running means ...), for the checkpoint: nested dicts and lists
        of tensors and plain values. Modules that ``build`` returned are kept with the network.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027  (most components keep nothing)
        """Go on from ``state_dict()``'s answer."""


class Dataset(Component):
    """Where images come from.

    Args:
        params: the settings of the data set.
        data_dir: where the user says the files lie (``--data-dir``); None when nothing was said.
        download: whether the user asked for missing files to be fetched.
    """

    kind = "dataset"

    def __init__(self, params: BaseModel | None = None, data_dir: Path | None = None, download: bool = False) -> None:
        super().__init__(params)
        self.data_dir, self.download = data_dir, download

    @abstractmethod
    def load(self, split: Literal["train", "test"]) -> Images:
        """One split, decoded; ``train`` and ``test`` share classes, shape, mean and std.

        Raises:
            FileError: a file is missing or damaged; the message names it and how to get it.
        """


@dataclass(frozen=True)
class LayerSpec:
    """One layer of a network, in words.

    Attributes:
        kind: ``conv`` (3x3, padding 1), ``linear`` (flattens its input), or ``module`` (``factory`` builds it).
        width: output channels or features; ignored for ``module``.
        pool: side of the max pooling window after a convolution; 1 is none.
        bias: whether the convolution or linear map has a bias.
        factory: for ``module``: takes the input shape, returns an ``nn.Module`` that keeps the batch dimension; its
            output is the layer's activation (no further non-linearity is applied).
    """

    kind: Literal["conv", "linear", "module"]
    width: int = 0
    pool: int = 1
    bias: bool = False
    factory: Callable[[Shape], nn.Module] | None = None


class Network(Component):
    """Which layers, in which order.

    Attributes:
        learning_rate_steps: the paper's learning-rate schedule for this network as (share of the run, factor) pairs:
            from that share of the run's steps on, the base rate is multiplied by the factor.
    """

    kind = "network"
    learning_rate_steps: ClassVar[tuple[tuple[float, float], ...]] = ((0.75, 0.1),)

    @abstractmethod
    def layers(self, shape: Shape, classes: int) -> list[LayerSpec]:
        """The layers, first to last.

        Args:
            shape: of what the encoder returns, without the batch.
            classes: the number of classes.

        Raises:
            UsageError: the images are too small for this network.
        """


class Normalizer(Component):
    """What is passed between layers.

    Attributes:
        place: ``input``: it stands on each layer's input (Hinton, Trifecta); ``output``: it stands on the activation
            that a layer passes on, after goodness was read from it (DeeperForward).
    """

    kind = "normalizer"
    place: ClassVar[Literal["input", "output"]] = "input"

    @abstractmethod
    def build(self, shape: Shape) -> nn.Module:
        """A module that maps ``[B, *shape]`` to ``[B, *shape]``, without changing its input."""


class Goodness(Component):
    """How good an activation is.

    Attributes:
        form: ``pair`` (``[B, *shape]`` to ``[B]``) or ``class`` (``[B, *shape]`` to ``[B, K]``).
    """

    kind = "goodness"
    form: ClassVar[Form] = "pair"

    @abstractmethod
    def build(self, shape: Shape, classes: int) -> nn.Module:
        """A module that maps an activation ``[B, *shape]`` to its goodness; it may hold parameters (a local head).

        The activation is float32, or bfloat16 under ``--precision bf16``; the goodness must be float32 (float64 where
        the activation is).
        """


@dataclass(frozen=True)
class LossContext:
    """What a loss may look at beside goodness; tensors are read-only.

    Attributes:
        layer: index of the layer whose loss this is, from 0.
        depth: the number of layers.
        step: optimizer steps done before this one, from 0, over the whole run.
        epoch: from 0.
        activation: that layer's activation ``[B, *shape]`` with its graph; positives first, then negatives (form
            ``pair``), so ``[2B, *shape]``.
        labels: int64 ``[B]``, the true labels.
        earlier: goodness of the layers before, detached, each as the layer's own (positive, negative) pair of ``[B]``,
            or a single ``[B, K]`` in form ``class``; first layer first.
    """

    layer: int
    depth: int
    step: int
    epoch: int
    activation: torch.Tensor
    labels: torch.Tensor
    earlier: tuple[Any, ...] = ()


class Loss(Component):
    """The local objective of one layer.

    Form ``pair`` is called as ``loss(positive[B], negative[B], context)``, form ``class`` as
    ``loss(goodness[B, K], labels[B], context)``; both return a scalar with a graph to their goodness.
    """

    kind = "loss"
    form: ClassVar[Form] = "pair"

    @abstractmethod
    def __call__(self, first: torch.Tensor, second: torch.Tensor, context: LossContext) -> torch.Tensor:
        """The loss, averaged over the batch unless the component says otherwise."""


class UpdateScheduler(Component):
    """Which layers learn together, and when."""

    kind = "scheduler"

    @abstractmethod
    def groups(self, step: int, epoch: int, depth: int) -> list[slice]:
        """The groups of this step.

        Each group ``slice(a, b)`` shares one graph: it starts from detached input, and one loss on layer ``b - 1``
        updates layers ``a`` to ``b - 1``. Groups may overlap; layers in no group are idle.

        Args:
            step: optimizer steps done before this one, from 0, over the whole run.
            epoch: from 0.
            depth: the number of layers.
        """


class Encoder(Component):
    """How a label enters the network.

    The module that ``build`` returns has ``forward(images[B, C, H, W], labels[B]) -> [B, *shape]`` and
    ``neutral(images[B, C, H, W]) -> [B, *shape]``, the input that favours no class.

    Attributes:
        learned: whether the module's parameters are trained. None leaves it to the run: learned when update groups
            span more than one layer (the Trifecta's rule), fixed at their random start otherwise.
    """

    kind = "encoder"

    @property
    def learned(self) -> bool | None:
        return None

    @abstractmethod
    def build(self, shape: Shape, classes: int) -> nn.Module:
        """The encoding module for images of ``shape`` (channels, height, width)."""


class Negatives(Component):
    """Which wrong example a positive one is held against.

    Attributes:
        needs_goodness: whether ``goodness`` must be given; it costs a forward pass for every label.
    """

    kind = "negatives"
    needs_goodness: ClassVar[bool] = False

    @abstractmethod
    def __call__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        classes: int,
        generator: torch.Generator,
        goodness: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The labels of the negatives, int64 ``[B]``, never the true one.

        Args:
            images: float ``[B, C, H, W]``, normalized.
            labels: int64 ``[B]``, the true labels.
            classes: the number of classes.
            generator: the run's stream for negatives; the only source of randomness allowed.
            goodness: ``[B, K]`` of the last layer for every label, when ``needs_goodness``.
        """


@dataclass(frozen=True)
class Update:
    """What a rule reports after it changed weights.

    Attributes:
        layers: the layers whose weights changed.
        loss_layer: the layer that the loss sits on.
        loss: scalar tensor, detached.
        positive: mean goodness of the positives on that layer, scalar tensor, detached; None when there is none.
        negative: the same of the negatives.
    """

    layers: range
    loss_layer: int
    loss: torch.Tensor
    positive: torch.Tensor | None = None
    negative: torch.Tensor | None = None


class Learner(ABC):
    """A rule at work on one network; what ``Rule.build`` returns."""

    @abstractmethod
    def step(self, images: torch.Tensor, labels: torch.Tensor, step: int, epoch: int) -> Iterator[Update]:
        """Learn from one batch; yield after every change of weights, before gradients are cleared.

        Args:
            images: float ``[B, C, H, W]``, normalized and augmented.
            labels: int64 ``[B]``.
            step: optimizer steps done before, from 0, over the whole run.
            epoch: from 0.
        """

    @abstractmethod
    def set_learning_rate(self, rate: float) -> None:
        """Use this learning rate from the next step on."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that decides how learning goes on: nested dicts and lists of tensors and plain numbers."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state_dict()``'s answer."""


class Rule(Component):
    """How weights change."""

    kind = "rule"

    @abstractmethod
    def build(self, bench: Bench) -> Learner:
        """A learner for the network on this bench."""


@dataclass(frozen=True)
class Bench:
    """What lies before a rule: the network and everything chosen to teach it.

    Attributes:
        network: the ``Stack`` of encoder and layers (``ffprobe.Stack``).
        loss: the local objective.
        scheduler: which layers learn together.
        negatives: which wrong label a positive is held against.
        generator: the run's stream for negatives.
        optimizer: builds the run's optimizer over a list of parameters.
        groups: every update group that the scheduler will ever ask for, shortest first.
        autocast: returns a fresh context manager for forward passes in the run's precision.
        classes: the number of classes.
    """

    network: Any
    loss: Loss
    scheduler: UpdateScheduler
    negatives: Negatives
    generator: torch.Generator
    optimizer: Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer]
    groups: tuple[tuple[int, int], ...]
    autocast: Callable[[], Any]
    classes: int


class Evaluator(Component):
    """How a prediction is read from goodness; a pure function, so that all can be compared from one file."""

    kind = "evaluator"

    @abstractmethod
    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """Scores ``[N, K]``, the largest wins.

        Args:
            goodness: float ``[L, N, K]``, of every layer, sample and label.
        """

    def layers(self, depth: int) -> list[int]:
        """The layers that ``scores`` looks at; all of them unless said otherwise."""
        return list(range(depth))


class Probe(Component):
    """One question: what is recorded while a run goes on, and the answer from the run file alone.

    A probe that records implements hooks (``ffprobe_after_step`` ...) as methods marked with ``ffprobe.hookimpl`` and
    writes with ``context.record``; it must not change a number of the run.

    Attributes:
        needs: recordings of the run itself that the analysis reads: ``activations``.
    """

    kind = "probe"
    needs: ClassVar[frozenset[str]] = frozenset()

    def variables(self, run: RunContext) -> list[Variable]:
        """What this probe will record, declared before the run begins; nothing unless overridden."""
        return []

    @abstractmethod
    def analyze(self, runs: Sequence[RunFile]) -> Any:
        """Answer the question from recorded runs.

        Returns:
            An ``ffprobe.Result``.

        Raises:
            FileError: something needed was not recorded; the message names the option that records it.
        """


SINGLE_SLOTS: dict[str, type[Component]] = {
    base.kind: base
    for base in (
        Dataset,
        Network,
        Encoder,
        Normalizer,
        Goodness,
        Loss,
        Negatives,
        UpdateScheduler,
        Rule,
        Evaluator,
    )
}
"""The kinds of which a run has exactly one, by name, in the order in which a reader meets them."""

KINDS: dict[str, type[Component]] = {**SINGLE_SLOTS, Probe.kind: Probe}
"""Every kind of component, by name."""
