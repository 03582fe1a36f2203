"""Forward-Forward as a scikit-learn classifier."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

if TYPE_CHECKING:
    import torch

    from ffprobe.config.settings import RunConfig
    from ffprobe.data.samples import Samples
    from ffprobe.estimator.fitting import Incremental
    from ffprobe.network.network import LayeredNetwork
    from ffprobe.plugin.registry import Registry

CONSTANT = 1e-12
"""A feature whose standard deviation is at most this part of its largest value is constant; what is left is the
rounding error of its mean, and to divide by it would turn a small difference at prediction into a huge one."""


class ForwardForwardClassifier(ClassifierMixin, BaseEstimator):
    """A network that learns without a global backward pass, for pipelines, cross-validation and grid search.

    Inputs are standardized inside, with the mean and standard deviation of each feature (of each channel for signals
    and images) from ``fit``. Nothing is held out unless ``early_stopping`` or ``calibrate`` is set, and nothing is
    recorded unless ``record`` is set.

    Args:
        preset: name of a preset.
        plugins: plugins as ``ffprobe.run`` takes them: ``"olu"``, ``"symba:alpha=6"``, ``"./mine.py"``, ``MyLoss``.
        settings: settings in the syntax of ``--set``, ``{"network.width": 0.25}``; they override everything else.
        network: a network as ``ffprobe.run`` takes it, such as a ``nn.Sequential``; None for that of the preset, or for
            fully connected layers if samples are vectors.
        epochs: number of passes over the data.
        batch_size: samples per optimizer step.
        learning_rate: learning rate of every optimizer.
        early_stopping: stop after ``n_iter_no_change`` epochs without a better accuracy on held-out samples, and keep
            the weights of the best epoch.
        n_iter_no_change: see ``early_stopping``.
        calibrate: fit a temperature to the scores of held-out samples, so that ``predict_proba`` is calibrated.
        validation_fraction: fraction of the samples that is held out for either, stratified by class.
        record: path of a run file that records the training; it must not exist. None for none.
        device: ``cpu``, ``cuda`` or ``auto``.
        random_state: an int, a numpy RandomState, or None for a different result every time.

    Attributes:
        classes_: the class labels, sorted.
        n_features_in_: number of features, or number of channels for signals and images.
        config_: the resolved config, as plain values.
        weights_: the network's parameters and buffers as arrays, by name.
        shape_: shape of one input: (channels, time) or (channels, height, width); vectors have shape (features,).
        mean_, scale_: mean and standard deviation by which inputs are standardized.
        layer_accuracy_: training accuracy of each layer alone, in [0, 1].
        n_iter_: number of epochs that ran.
        held_out_scores_, held_out_labels_: scores and labels of held-out samples, which calibrate probabilities; None
            unless ``calibrate`` is set.
    """

    def __init__(
        self,
        preset: str = "trifecta",
        plugins: Sequence[Any] = (),
        settings: Mapping[str, Any] | None = None,
        *,
        network: Any = None,
        epochs: int = 20,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        calibrate: bool = False,
        validation_fraction: float = 0.1,
        record: str | Path | None = None,
        device: str = "cpu",
        random_state: Any = 0,
    ) -> None:
        self.preset = preset
        self.plugins = plugins
        self.settings = settings
        self.network = network
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.calibrate = calibrate
        self.validation_fraction = validation_fraction
        self.record = record
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ForwardForwardClassifier:
        """Train a new network.

        Args:
            X: features ``[N, F]``, signals ``[N, C, T]`` or images ``[N, C, H, W]``.
            y: labels ``[N]``, of any sortable type.
            sample_weight: how often each sample is drawn relative to the others, ``[N]``; equally by default. Samples
                are drawn at random, so a weight of 2 is not exactly a sample twice.

        Raises:
            ValueError: there are fewer than two classes, the data contains NaN, or it has another shape.
            FfprobeError: the config is invalid, or training failed.
        """
        from ffprobe.estimator.fitting import split_of, train_recorded, unobserved
        from ffprobe.plugin.registry import Registry
        from ffprobe.training.experiment import build
        from ffprobe.training.trainer import Trainer

        self._learner: Incremental | None = None
        samples = self._samples(X, y, sample_weight)
        registry = Registry()
        config = self._config(registry, samples)
        split = split_of(config, registry, samples, self._holds_out or self.record is not None)
        if self.record is None:
            experiment = build(config, registry, split)
            trainer = Trainer(experiment, unobserved())
            trainer.run()
            network, self.n_iter_ = experiment.network, trainer.epochs_done
        else:
            network, self.n_iter_ = train_recorded(config, registry, Path(self.record))
        self._keep(config, network)
        held_out = split.validation if self.calibrate else None
        self.held_out_scores_ = None if held_out is None else self._scores_of(held_out.inputs)
        self.held_out_labels_ = None if held_out is None else held_out.labels.numpy()
        goodness = self._goodness(samples.inputs)
        self.layer_accuracy_ = _layer_accuracy(goodness, samples.labels.numpy())
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> ForwardForwardClassifier:
        """Train one pass over more samples; the state of the optimizers is kept between calls.

        The first call decides the classes, and the mean and standard deviation by which all inputs are standardized. A
        model that was fitted, or unpickled, goes on with its weights and new optimizers. Nothing is held out (a
        calibration by ``fit`` is dropped), and the learning rate is constant.

        Args:
            X: samples, as ``fit``.
            y: labels ``[N]``.
            classes: all labels that will occur, needed in the first call unless the first samples have them all.
            sample_weight: as ``fit``.

        Raises:
            ValueError: a label is not among the classes, or as ``fit``.
            UsageError: the scheduler trains one layer after another.
        """
        from ffprobe.estimator.fitting import Incremental

        first = not hasattr(self, "weights_")
        samples = self._samples(X, y, sample_weight, classes, reset=first)
        learner: Incremental | None = getattr(self, "_learner", None)
        if learner is None:
            learner = Incremental(self._config, samples, None if first else self.weights_, self.batch_size)
            self._learner = learner
            self.held_out_scores_ = self.held_out_labels_ = None
            self.n_iter_ = 0 if first else self.n_iter_
        learner.learn(samples)
        self.n_iter_ += 1
        self._keep(learner.config, copy.deepcopy(learner.experiment.network))
        self.layer_accuracy_ = _layer_accuracy(self._goodness(samples.inputs), samples.labels.numpy())
        return self

    @property
    def _holds_out(self) -> bool:
        return bool(self.early_stopping or self.calibrate)

    def _samples(self, X: Any, y: Any, weights: Any, classes: Any = None, reset: bool = True) -> Samples:
        """Standardized samples; with ``reset``, also the classes and the statistics of the model."""
        import torch

        from ffprobe.data.samples import Samples

        X, y = validate_data(self, X, y, dtype=np.float64, allow_nd=True, reset=reset)
        check_classification_targets(y)
        if reset:
            self.classes_ = np.unique(y if classes is None else classes)
            if len(self.classes_) < 2:
                raise ValueError("This classifier needs samples of at least two classes; the data has one class.")
        unknown = ~np.isin(y, self.classes_)
        if unknown.any():
            raise ValueError(f"The label {y[unknown].tolist()[0]!r} is not among the classes {self.classes_.tolist()}.")
        _check_dimensions(X)
        if reset:
            self._standardize(X)
        elif X.shape[1:] != self.shape_:
            raise ValueError(f"Expected inputs of shape {self.shape_}, but got {X.shape[1:]}.")
        drawn = None
        if weights is not None:
            drawn = torch.from_numpy(_check_sample_weight(weights, X, dtype=np.float64, ensure_non_negative=True))
        labels = torch.from_numpy(np.searchsorted(self.classes_, y))
        names = tuple(map(str, range(len(self.classes_))))
        zeros, ones = (0.0,) * self.shape_[0], (1.0,) * self.shape_[0]
        return Samples(self._tensor(X), labels, names, zeros, ones, weights=drawn)

    def _standardize(self, arrays: np.ndarray) -> None:
        self.shape_ = arrays.shape[1:]
        axes = (0, *range(2, arrays.ndim))
        self.mean_ = arrays.mean(axis=axes, keepdims=True)
        deviation = arrays.std(axis=axes, keepdims=True)
        constant = deviation <= CONSTANT * np.abs(arrays).max(axis=axes, keepdims=True)
        self.scale_ = np.where(constant, 1.0, deviation)

    def _keep(self, config: RunConfig, network: LayeredNetwork) -> None:
        self.config_ = {**config.to_dict(), "device": "cpu"}
        network = network.to("cpu").eval()
        self.weights_ = {name: value.detach().numpy().copy() for name, value in network.named_state().items()}
        self._network: LayeredNetwork | None = network

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
        """Probabilities ``[N, K]``; rows sum to 1.

        With ``calibrate`` they are calibrated on the held-out samples: a softmax of the scores with the temperature
        that fits those samples best, and a floor (``ffprobe.analysis.probing.temperature``). Without it they are the
        plain softmax of the scores, which is not calibrated.
        """
        from scipy.special import softmax

        from ffprobe.analysis.probing.temperature import calibrated

        scores = self._scores(X)
        if self.held_out_scores_ is None or self.held_out_labels_ is None:
            return softmax(scores, axis=1)
        probability = np.exp(calibrated(self.held_out_scores_, self.held_out_labels_, scores))
        return probability / probability.sum(axis=1, keepdims=True)

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, allow_nd=True, reset=False)
        _check_dimensions(X)
        if X.shape[1:] != self.shape_:
            raise ValueError(f"Expected inputs of shape {self.shape_}, as in fit, but got {X.shape[1:]}.")
        return self._scores_of(self._tensor(X))

    def _scores_of(self, inputs: torch.Tensor) -> np.ndarray:
        import torch

        from ffprobe.api import configure
        from ffprobe.config.options import RunOptions
        from ffprobe.plugin.registry import Registry

        config = configure(Registry(), RunOptions(), {"evaluator": self.config_["evaluator"]})
        evaluator = config.slots["evaluator"].build()
        return evaluator.scores(torch.from_numpy(self._goodness(inputs))).numpy().astype(np.float64)

    def _goodness(self, inputs: torch.Tensor) -> np.ndarray:
        import torch

        from ffprobe.inference.evaluate import label_goodness

        network = self._network or self._rebuild()
        dtype = next(network.parameters()).dtype
        with torch.inference_mode():
            goodness = [label_goodness(network, batch.to(dtype)) for batch in inputs.split(256)]
        return torch.cat(goodness, dim=1).float().numpy()

    def _tensor(self, arrays: np.ndarray) -> torch.Tensor:
        import torch

        return torch.from_numpy(((arrays - self.mean_) / self.scale_).astype(np.float32))

    def _config(self, registry: Registry, samples: Samples) -> RunConfig:
        """The config of a training: the settings of this model, overridden by those of the user."""
        from ffprobe.api import configure
        from ffprobe.config.options import RunOptions
        from ffprobe.config.parsing import merge, nested
        from ffprobe.given.network import network_word
        from ffprobe.given.plugins import plugin_words

        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31)
        training: dict[str, Any] = {"epochs": self.epochs, "batch_size": self.batch_size}
        training |= {"learning_rate": self.learning_rate, "test": "never", "augmentation": False}
        training |= {"num_evaluations": 1, "standardize": False}
        if self._holds_out or self.record is not None:
            training |= {"validation_fraction": self.validation_fraction, "num_evaluations": self.epochs}
        if self.early_stopping:
            training |= {"early_stop": self.n_iter_no_change, "keep_best": True}
        table: dict[str, Any] = {"seed": int(seed), "device": self.device, "precision": "fp32", "training": training}
        words = list(plugin_words(self.plugins))
        words += [] if self.network is None else [network_word(self.network)]
        if self.record is None:
            table["probes"] = []
        else:
            from ffprobe.given.data import data_word

            words.append(data_word({"train": samples, "test": samples}))  # no test set is read
        if len(samples.shape) == 1 and not _has_network(words):
            table["network"] = {"name": "fcn", "width": 0.0625, "depth": 3}
        options = RunOptions(preset=self.preset, plugin=tuple(words))
        return configure(registry, options, merge(table, nested(self.settings or {})))

    def _rebuild(self) -> LayeredNetwork:
        import torch

        from ffprobe.config.resolve import resolve
        from ffprobe.data.samples import Samples
        from ffprobe.estimator.fitting import split_of
        from ffprobe.given.network import network_word
        from ffprobe.given.plugins import plugin_words
        from ffprobe.plugin.registry import Registry
        from ffprobe.training.experiment import build

        plugin_words(self.plugins)  # objects are known from here on, also in another program
        if self.network is not None:
            network_word(self.network)
        registry = Registry()
        classes = len(self.classes_)
        zeros = torch.zeros(classes, *self.shape_)
        samples = Samples(zeros, torch.arange(classes), tuple(map(str, range(classes)))).unscaled()
        config = resolve({**self.config_, "dataset": {"name": "digits"}, "probes": [], "observers": []}, registry)
        network = build(config, registry, split_of(config, registry, samples, False)).network
        network.load_named_state({name: torch.from_numpy(value) for name, value in self.weights_.items()})
        return network.eval()

    def __getstate__(self) -> dict[str, Any]:
        """Plain values and arrays; the network is rebuilt from them, since a plugin's classes may not be picklable."""
        return {name: value for name, value in super().__getstate__().items() if name not in ("_network", "_learner")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._learner = None
        if "weights_" in state:
            self._network = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def _has_network(words: Sequence[str]) -> bool:
    from ffprobe.config.parsing import parse_plugin
    from ffprobe.plugin.registry import Registry

    registry = Registry()
    return any(c.kind == "network" for text in words for c in registry.load(parse_plugin(text)[0]))


def _layer_accuracy(goodness: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Accuracy of each layer's goodness ``[L, N, K]``; NaN for layers without a trained goodness."""
    import torch

    from ffprobe.prediction.predicted_labels import predicted_labels

    accuracy = (predicted_labels(torch.from_numpy(goodness)).numpy() == labels).mean(axis=1)
    return np.where(np.isnan(goodness).all(axis=(1, 2)), np.nan, accuracy)


def _check_dimensions(X: np.ndarray) -> None:
    if X.ndim not in (2, 3, 4):
        raise ValueError(
            "Expected samples [N, features], signals [N, channels, time] or images [N, channels, height, width], "
            f"but got shape {X.shape}."
        )
