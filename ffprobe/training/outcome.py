"""How a run ended: accuracies, time and speed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """The results of a run.

    Attributes:
        validation_accuracy: validation accuracy from the goodness of each layer alone, first to last, in [0, 1].
        test_accuracy: test accuracy of each layer alone, as above; empty if the test set was not read.
        model_validation_accuracy: validation accuracy by the run's evaluator, in [0, 1].
        model_test_accuracy: test accuracy by the run's evaluator, in [0, 1]; None if the test set was not read.
        seconds: wall time in seconds, including evaluation.
        images_per_second: training images per second in the last epoch, without evaluation.
    """

    validation_accuracy: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)
    model_validation_accuracy: float | None = None
    model_test_accuracy: float | None = None
    seconds: float = 0.0
    images_per_second: float = 0.0
