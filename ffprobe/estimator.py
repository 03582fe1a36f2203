"""Forward-Forward as a scikit-learn classifier."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    import torch

    from ffprobe.network.network import LayeredNetwork

CONSTANT = 1e-12
"""A feature whose standard deviation is at most this part of its largest value is constant; what is left is the
rounding error of its mean, and to divide by it would turn a small difference at prediction into a huge one."""


class ForwardForwardClassifier(ClassifierMixin, BaseEstimator):
    """A network that learns without a global backward pass, for pipelines, cross-validation and grid search.

    Inputs are standardized inside, with the mean and standard deviation of each feature (of each channel for images)
    from ``fit``. Nothing is recorded and no data is held out; ``ffprobe.run`` does both.

    Args:
        preset: name of a preset.
        plugins: plugins in the syntax of ``--plugin``: ``"olu"``, ``"symba:alpha=6"``, ``"./mine.py"``.
        settings: settings in the syntax of ``--set``, ``{"network.width": 0.25}``; they override everything else.
        epochs: number of passes over the data.
        batch_size: samples per optimizer step.
        learning_rate: learning rate of every optimizer.
        device: ``cpu``, ``cuda`` or ``auto``.
        random_state: an int, a numpy RandomState, or None for a different result every time.

    Attributes:
        classes_: the class labels, sorted.
        n_features_in_: number of features, or number of channels for images.
        config_: the resolved config, as plain values.
        weights_: the network's parameters and buffers as arrays, by name.
        shape_: shape of one input (channels, height, width); vectors have shape (1, 1, features).
        mean_, scale_: mean and standard deviation by which inputs are standardized.
        layer_accuracy_: training accuracy of each layer alone, in [0, 1].
    """

    def __init__(
        self,
        preset: str = "trifecta",
        plugins: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        *,
        epochs: int = 20,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        device: str = "cpu",
        random_state: Any = 0,
    ) -> None:
        self.preset = preset
        self.plugins = plugins
        self.settings = settings
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> ForwardForwardClassifier:
        """Train a new network.

        Args:
            X: features ``[N, F]`` or images ``[N, C, H, W]``.
            y: labels ``[N]``, of any sortable type.

        Raises:
            ValueError: there are fewer than two classes, the data contains NaN, or it has another shape.
            FfprobeError: the config is invalid, or training failed.
        """
        import torch

        from ffprobe.api import configure
        from ffprobe.config.options import RunOptions
        from ffprobe.inference.evaluate import label_goodness
        from ffprobe.plugin.discovery import build_manager
        from ffprobe.plugin.registry import Registry
        from ffprobe.prediction.predicted_labels import predicted_labels
        from ffprobe.training.experiment import build
        from ffprobe.training.observers import Observers
        from ffprobe.training.trainer import Trainer

        X, y = validate_data(self, X, y, dtype=np.float64, allow_nd=True)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("This classifier needs samples of at least two classes; the data has one class.")
        images = self._images(X)
        self.shape_ = images.shape[1:]
        axes = 0 if X.ndim == 2 else (0, 2, 3)
        self.mean_ = images.mean(axis=axes, keepdims=True)
        deviation = images.std(axis=axes, keepdims=True)
        constant = deviation <= CONSTANT * np.abs(images).max(axis=axes, keepdims=True)
        self.scale_ = np.where(constant, 1.0, deviation)
        registry = Registry()
        options = RunOptions(preset=self.preset, plugin=tuple(self.plugins))
        config = configure(registry, options, self._table(X.ndim))
        split = _split_of(self.shape_, len(self.classes_))
        dtype = torch.float64 if config.settings.precision == "fp64" else torch.float32
        generator = torch.Generator().manual_seed(config.settings.seed)
        batches = _Batches(self._tensor(images, dtype), torch.from_numpy(labels), config.settings, generator)
        experiment = build(config, registry, split, batches)
        batches.device = experiment.device
        observers = Observers(build_manager(), lambda *_: None, lambda *_: None)
        Trainer(experiment, observers).run()
        self.config_ = {**config.to_dict(), "device": "cpu"}
        network = experiment.network.to("cpu").eval()
        self.weights_ = {name: value.detach().numpy().copy() for name, value in network.named_state().items()}
        self._network: LayeredNetwork | None = network
        self.n_iter_ = config.settings.training.epochs
        goodness = self._goodness(images, label_goodness)
        accuracy = (predicted_labels(torch.from_numpy(goodness)).numpy() == labels).mean(axis=1)
        self.layer_accuracy_ = np.where(np.isnan(goodness).all(axis=(1, 2)), np.nan, accuracy)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The label with the largest score, ``[N]``.

        A classifier of scikit-learn must name a class for every sample. If several classes share the largest score, or
        a score is NaN, it is the first class with the largest score that is not NaN; a warning counts such samples.
        """
        import torch

        from ffprobe.prediction.predicted_labels import predicted_labels

        scores = self._scores(X)
        undecided = int((predicted_labels(torch.from_numpy(scores)) < 0).sum())
        if undecided:
            warnings.warn(
                f"The scores of {undecided} of {len(scores)} samples do not decide: several classes share the largest "
                "score, or a score is NaN. The first of them is predicted.",
                RuntimeWarning,
                stacklevel=2,
            )
        return self.classes_[np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Softmax of the scores, ``[N, K]``; rows sum to 1, but they are not calibrated probabilities."""
        from scipy.special import softmax

        return softmax(self._scores(X), axis=1)

    def _scores(self, X: Any) -> np.ndarray:
        import torch

        from ffprobe.api import configure
        from ffprobe.config.options import RunOptions
        from ffprobe.inference.evaluate import label_goodness
        from ffprobe.plugin.registry import Registry

        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, allow_nd=True, reset=False)
        images = self._images(X)
        if images.shape[1:] != self.shape_:
            raise ValueError(f"Expected inputs of shape {self.shape_}, as in fit, but got {images.shape[1:]}.")
        goodness = self._goodness(images, label_goodness)
        evaluator = (
            configure(Registry(), RunOptions(), {"evaluator": self.config_["evaluator"]}).slots["evaluator"].build()
        )
        return evaluator.scores(torch.from_numpy(goodness)).numpy().astype(np.float64)

    def _goodness(self, images: np.ndarray, label_goodness: Any) -> np.ndarray:
        import torch

        network = self._network or self._rebuild()
        dtype = next(network.parameters()).dtype
        with torch.inference_mode():
            goodness = [label_goodness(network, batch) for batch in self._tensor(images, dtype).split(256)]
        return torch.cat(goodness, dim=1).numpy()

    def _images(self, X: np.ndarray) -> np.ndarray:
        if X.ndim not in (2, 4):
            raise ValueError(
                f"Expected samples [N, features] or images [N, channels, height, width], but got shape {X.shape}."
            )
        return X[:, None, None, :] if X.ndim == 2 else X

    def _tensor(self, images: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
        import torch

        return torch.from_numpy((images - self.mean_) / self.scale_).to(dtype)

    def _table(self, dimensions: int) -> dict[str, Any]:
        """The settings of the config, overridden by those of the user."""
        from ffprobe.config.parsing import merge, nested

        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31)
        training = {"epochs": self.epochs, "batch_size": self.batch_size, "learning_rate": self.learning_rate}
        table = {"seed": int(seed), "device": self.device, "precision": "fp32", "probes": []}
        table["training"] = {**training, "num_evaluations": 1, "test": "never", "augmentation": False}
        if dimensions == 2 and not self._has_network_plugin():
            table["network"] = {"name": "fcn", "width": 0.0625, "depth": 3}
        return merge(table, nested(self.settings or {}))

    def _has_network_plugin(self) -> bool:
        from ffprobe.config.parsing import parse_plugin
        from ffprobe.plugin.registry import Registry

        registry = Registry()
        return any(c.kind == "network" for text in self.plugins for c in registry.load(parse_plugin(text)[0]))

    def _rebuild(self) -> LayeredNetwork:
        import torch

        from ffprobe.config.resolve import resolve
        from ffprobe.plugin.registry import Registry
        from ffprobe.training.experiment import build

        registry = Registry()
        split = _split_of(self.shape_, len(self.classes_))
        network = build(resolve(self.config_, registry), registry, split).network
        network.load_named_state({name: torch.from_numpy(value) for name, value in self.weights_.items()})
        return network.eval()

    def __getstate__(self) -> dict[str, Any]:
        """Plain values and arrays; the network is rebuilt from them, since a plugin's classes may not be picklable."""
        return {name: value for name, value in super().__getstate__().items() if name != "_network"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "weights_" in state:
            self._network = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


class _Batches:
    """Batches of standardized inputs ``[N, C, H, W]``, shuffled every epoch; an incomplete last batch is dropped."""

    def __init__(self, inputs: torch.Tensor, labels: torch.Tensor, settings: Any, generator: torch.Generator) -> None:
        self.inputs, self.labels, self.generator = inputs, labels, generator
        self.size = min(settings.training.batch_size, len(inputs))
        self.device: Any = "cpu"

    def __len__(self) -> int:
        return max(1, len(self.inputs) // self.size)

    def preview(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.inputs[: self.size].to(self.device), self.labels[: self.size].to(self.device)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        import torch

        order = torch.randperm(len(self.inputs), generator=self.generator)
        for indices in order[: len(self) * self.size].split(self.size):
            yield self.inputs[indices].to(self.device), self.labels[indices].to(self.device), indices


def _split_of(shape: Sequence[int], classes: int) -> Any:
    """A placeholder for a split, with the shape and the classes; the batches come from ``_Batches``."""
    import torch

    from ffprobe.data.images import Images
    from ffprobe.training.split import Split

    ones, indices = (1.0,) * int(shape[0]), torch.arange(classes)
    black = torch.zeros(classes, *shape, dtype=torch.uint8)
    images = Images(black, indices, tuple(map(str, range(classes))), ones, ones)
    return Split(images, images, None, indices, indices)
