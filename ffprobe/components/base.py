"""The kinds of component: what a plugin may supply, and what each kind must obey.

A component is a class with a ``name``. It is chosen by a run's config, gets its own settings (``Params``) and nothing
else from the config. Importing this module loads no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from ffprobe.components.executor import Job, JobEvent, Share
from ffprobe.components.loss import LossContext as LossContext
from ffprobe.components.network import LayerSpec as LayerSpec
from ffprobe.components.network import Shape as Shape
from ffprobe.components.rule import Bench as Bench
from ffprobe.components.rule import Learner as Learner
from ffprobe.components.rule import Update as Update

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ffprobe.components.peer import Heard, ReplayPlan, Trajectory
    from ffprobe.data.images import Images
    from ffprobe.hookspecs import RunContext
    from ffprobe.prediction.calibration import Calibration
    from ffprobe.prediction.label_scan import Sweep
    from ffprobe.store.reader import RunFile
    from ffprobe.store.schema import Variable

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
        place: ``input``: it stands on each layer's input (Hinton, Trifecta); ``preactivation``: between the
            convolution or linear map and the activation, as backpropagated networks have it; ``activation``: on the
            activation, before goodness is read from it (CwComp); ``output``: on the activation that a layer passes on,
            after goodness was read from it (DeeperForward). A class attribute, or set in ``__init__`` from a setting.
        keeps_statistics: whether training moves buffers of the module (statistics of the batches), or gives other
            values than evaluation (batch normalization, dropout). Where it is False, neither may be. A class attribute,
            or set in ``__init__`` from a setting.
        affine: whether in evaluation the module is an affine function, f(u + v) = f(u) + f(v) - f(0): then the first
            layer of a label sweep is computed once for all labels. True for batch normalization, not for what divides
            by each input's own length.
    """

    kind = "normalizer"
    place: Literal["input", "preactivation", "activation", "output"] = "input"
    keeps_statistics: bool = False
    affine: bool = False

    def prepare(self, classes: int) -> None:
        """Told once, before ``build``, how many classes there are; most normalizers need not know."""
        return None

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


class Loss(Component):
    """The local objective of one layer.

    Form ``pair`` is called as ``loss(positive[B], negative[B], context)``, form ``class`` as
    ``loss(goodness[B, K], labels[B], context)``; both return a scalar with a graph to their goodness.

    Attributes:
        averages: whether the loss of a batch is the mean of the losses of its images each by itself, so that several
            processes may share a batch; False where images are held against one another, or losses summed.
    """

    kind = "loss"
    form: ClassVar[Form] = "pair"
    averages: ClassVar[bool] = True

    def build(self, shape: Shape, classes: int) -> nn.Module | None:
        """What the loss keeps at a layer with activations of ``shape``: parameters that the layer's optimizer trains,
        fixed matrices as buffers. It lies in the network as the layer's ``loss`` and comes back as ``context.module``.
        """
        return None

    @abstractmethod
    def __call__(self, first: torch.Tensor, second: torch.Tensor, context: LossContext) -> torch.Tensor:
        """The loss, averaged over the batch unless the component says otherwise."""

    def derivatives(self, positive: torch.Tensor, negative: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss's derivatives in closed form, for whoever checks them (``ffprobe analyze symmetry``); optional.

        Args:
            positive: goodness of positives ``[B]``.
            negative: goodness of their negatives ``[B]``.

        Returns:
            dL/dpositive ``[B]`` and dL/dnegative ``[B]`` of the scalar that calling the loss gives.

        Raises:
            NotImplementedError: the component offers none; training never asks for them.
        """
        raise NotImplementedError(f"{self.name} offers no derivatives in closed form")


class UpdateScheduler(Component):
    """Which layers learn together, and when."""

    kind = "scheduler"

    def prepare(self, depth: int, epochs: int, steps_per_epoch: int) -> None:
        """Told once, before the run, how deep the network and how long the run is.

        Raises:
            UsageError: the schedule does not fit; the message says which setting to change.
        """

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

    It may have ``parts(images[B, C, H, W]) -> (common[B, *shape], labels[K, *shape], scale[B] or None)``, where the
    encoding is their sum: ``forward(images, y) = common + scale * labels[y]`` (scale None: 1). Then a sweep over all
    labels computes the first layer's part of each image once. An encoder for which that does not hold has no ``parts``.

    Attributes:
        learned: whether the module's parameters are trained. None leaves it to the run: learned when update groups
            span more than one layer (the Trifecta's rule), fixed at their random start otherwise.
        shows_label: whether the encoding depends on the label; False for methods that need none there (form ``class``).
    """

    kind = "encoder"
    shows_label: ClassVar[bool] = True

    @property
    def learned(self) -> bool | None:
        return None

    @abstractmethod
    def build(self, shape: Shape, classes: int) -> nn.Module:
        """The encoding module for images of ``shape`` (channels, height, width)."""


class Negatives(Component):
    """Which wrong example a positive one is held against: the same image with a wrong label, or a wrong image.

    Attributes:
        gives: ``labels``: a wrong label for each image; ``images``: a wrong image for each, and no label enters the
            network at all (unsupervised learning). With an encoder that shows labels, and the other way round, a run is
            refused.
        needs_goodness: whether ``goodness`` must be given; it costs a forward pass for every label.
    """

    kind = "negatives"
    gives: ClassVar[Literal["labels", "images"]] = "labels"
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
        """The negatives of a batch.

        Returns:
            Where ``gives`` says ``labels``, int64 ``[B]``, never the true one; where it says ``images``, images like
            those given ``[B, C, H, W]``, none of them the image in its own place.

        Args:
            images: float ``[B, C, H, W]``, normalized.
            labels: int64 ``[B]``, the true labels; negatives that give images do not look at them.
            classes: the number of classes.
            generator: the run's stream for negatives; the only source of randomness allowed.
            goodness: ``[B, K]`` of the last layer for every label, when ``needs_goodness``.
        """


class Rule(Component):
    """How weights change.

    What a rule keeps fixed beside the weights (random feedback) it leaves in the network as buffers, under names with a
    part ``feedback``, so that it is saved with the network. Building a rule on a network that already has them must
    keep them; what it draws, it draws from torch's global generator.

    Attributes:
        shares_batches: whether its learners get their gradients by ``bench.team.backward``, so that several processes
            may share each batch (``torchrun``); a rule that does not say so is refused there.
    """

    kind = "rule"
    shares_batches: ClassVar[bool] = False

    @abstractmethod
    def build(self, bench: Bench) -> Learner:
        """A learner for the network on this bench."""


class Evaluator(Component):
    """How a prediction is read from goodness.

    ``scores`` says what decides once everything is known. ``read`` may ask for less: it takes goodness layer after
    layer, and only for the labels that can still win, from a sweep over recorded numbers or over a live network.
    Thresholds and the like are chosen by ``calibrate``, on the validation set, and kept in ``chosen``.

    Attributes:
        needs: ``activations`` when ``calibrate`` needs recorded features beside validation goodness.
        reads_goodness: whether a prediction is read from goodness; where not, from features alone (``sweep.features``),
            and ``scores`` refuses.
        stepwise: whether ``read`` advances layer after layer, so that the activations of all living pairs are kept in
            memory; fewer images then go together.
        chosen: what ``calibrate`` chose: plain values, lists, tensors; empty before.
    """

    kind = "evaluator"
    needs: ClassVar[frozenset[str]] = frozenset()
    reads_goodness: ClassVar[bool] = True
    stepwise: ClassVar[bool] = False

    def __init__(self, params: BaseModel | None = None) -> None:
        super().__init__(params)
        self.chosen: dict[str, Any] = {}

    @abstractmethod
    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """Scores ``[N, K]``, the largest wins; a pure function, also before ``calibrate``.

        Args:
            goodness: float ``[L, N, K]``, of every layer, sample and label.
        """

    def layers(self, depth: int) -> list[int]:
        """The layers that ``scores`` looks at; all of them unless said otherwise."""
        return list(range(depth))

    def calibrate(self, calibration: Calibration) -> None:
        """Choose what is to be chosen, by the validation set alone."""

    def read(self, sweep: Sweep) -> torch.Tensor:
        """Scores ``[N, K]``, minus infinity for labels that were ruled out; the largest wins.

        Args:
            sweep: of N images; each must be treated by itself.
        """
        return self.scores(sweep.full(self.layers(sweep.depth)))

    def predict(self, sweep: Sweep) -> torch.Tensor:
        """The predicted labels, int64 ``[N]``."""
        return self.read(sweep).argmax(dim=1)

    def state_dict(self) -> dict[str, Any]:
        """What was chosen."""
        return dict(self.chosen)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what was chosen."""
        self.chosen = dict(state)


class Probe(Component):
    """One question: what is recorded while a run goes on, and the answer from the run file alone.

    A probe that records implements hooks (``ffprobe_after_step`` ...) as methods marked with ``ffprobe.hookimpl`` and
    writes with ``context.record``; it must not change a number of the run.

    Attributes:
        needs: recordings of the run itself that the analysis reads: ``activations``, and with it ``random-label``.
        least_runs: how many run files ``analyze`` needs at least; 0 where the question can be asked without any.
    """

    kind = "probe"
    needs: ClassVar[frozenset[str]] = frozenset()
    least_runs: ClassVar[int] = 1

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


class Peer(Component):
    """Somebody else's public code, as far as its recorded trajectories go (``ffprobe replay``).

    A peer says with which ordinary components its runs are repeated. What only that code does (an odd constant, a
    second pass, an optimizer of its own) stands in the peer's file and nowhere else. A peer is no slot of a run.
    """

    kind = "peer"

    @abstractmethod
    def claims(self, meta: Mapping[str, Any]) -> bool:
        """Whether a trajectory with this ``meta`` came from this code."""

    @abstractmethod
    def plan(self, trajectory: Trajectory) -> ReplayPlan:
        """How a trajectory is repeated.

        Raises:
            PluginError: it needs what is not here; the message names it.
        """

    def state(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """Recorded arrays of parameters (or their gradients) by the network's own names; as they are unless overridden.

        Args:
            recorded: by the file's names, without ``init/``, ``final/`` ... in front; possibly not all of them.
        """
        return dict(recorded)

    def observed(self, heard: Heard, trajectory: Trajectory) -> dict[str, Any]:
        """What the replay gave, by the keys under which the trajectory recorded the same: ``loss``, ``eval/logits`` ...

        Parameters and gradients are compared by the host and are not among them. Nothing unless overridden.
        """
        return {}


class Executor(Component):
    """Where the runs of a sweep are worked off: this machine, a cluster. An executor is no slot of a run."""

    kind = "executor"

    @abstractmethod
    def work(self, jobs: Sequence[Job], share: Share) -> Iterator[JobEvent | None]:
        """Start every job, and tell what becomes of it.

        A generator. It yields an event when a job's state changes, ``finished`` or ``failed`` once for each job, and
        None at least every few seconds, so that its caller can act meanwhile. Closing it must stop what is still
        running (``finally``), gently: a run that gets SIGINT commits nothing half and can be gone on with. An executor
        adds a job's output to ``job.log``. A job that fails is told and never raises.

        Args:
            jobs: in the order in which they should start.
            share: how much may run at a time.

        Raises:
            UsageError: the jobs cannot be started here at all, or what is needed for it is not installed.
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

KINDS: dict[str, type[Component]] = {**SINGLE_SLOTS, Probe.kind: Probe, Peer.kind: Peer, Executor.kind: Executor}
"""Every kind of component, by name."""
