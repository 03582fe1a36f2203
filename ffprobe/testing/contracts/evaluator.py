"""The contract of an evaluator."""

from __future__ import annotations

from typing import Any

import torch

from ffprobe.errors import UsageError
from ffprobe.prediction.calibration import Calibration
from ffprobe.prediction.recorded_label_scan import RecordedLabelScan
from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.materials import describe, distance, is_finite, numbers
from ffprobe.testing.randomness import global_states, moved

LAYERS, SAMPLES, CLASSES = 4, 12, 5
UNITS, IMAGES = 6, 40
"""Number of recorded features, and number of calibration images."""
DEPTHS = range(1, 13)


class EvaluatorContract(ComponentContract):
    """The checks of an evaluator: ``scores`` computes ``[N, K]`` from goodness ``[L, N, K]``."""

    kind = "evaluator"

    def goodness(self, depth: int = LAYERS, seed: int = 0) -> torch.Tensor:
        """Non-negative goodness ``[L, N, K]``."""
        return numbers(depth, (SAMPLES, CLASSES), seed).square()

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """The scores of a new evaluator; raises Skip if it raises UsageError because it does not read goodness."""
        try:
            scores = self.subject.build().scores(goodness)
        except UsageError as refusal:
            raise Skip(f"it does not read goodness: {refusal.what}") from None
        expect(isinstance(scores, torch.Tensor), "a tensor of scores", describe(scores))
        assert isinstance(scores, torch.Tensor)
        return scores

    @check("The prediction is the label with the largest score.")
    def gives_a_score_for_each_label(self) -> None:
        """Scores are finite floating-point [N, K] without a graph, for networks of 1 to 12 layers."""
        for depth in DEPTHS:
            scores = self.scores(self.goodness(depth))
            good = tuple(scores.shape) == (SAMPLES, CLASSES) and scores.is_floating_point()
            expect(good, f"floating-point {[SAMPLES, CLASSES]} from {depth} layers", describe(scores))
            expect(is_finite(scores), f"finite scores from {depth} layers", "NaN or infinity")
            expect(not scores.requires_grad, "scores without a graph", "scores with a graph")

    @check("Goodness of wide layers reaches millions, that of dead layers is zero.")
    def is_finite_for_any_goodness(self) -> None:
        """Scores are finite for goodness of 0, of 1e8 and of both in different layers."""
        mixed = self.goodness()
        mixed[1], mixed[2] = 1e8, 0
        for name, value in {"0": mixed * 0, "1e8": mixed * 0 + 1e8, "layers of 0 and of 1e8": mixed}.items():
            expect(is_finite(self.scores(value)), f"finite scores for goodness of {name}", "NaN or infinity")

    @check("All evaluators are compared on the same recorded tensor.")
    def is_pure(self) -> None:
        """The same goodness gives the same scores, the goodness is not changed, and no random numbers are drawn."""
        goodness = self.goodness()
        self.scores(goodness)
        kept, made, before = goodness.clone(), self.subject.build(), global_states()
        first, second = made.scores(goodness).clone(), made.scores(goodness)
        drawn = moved(before)
        expect(not drawn, "no random numbers", f"draws from {', '.join(drawn)}")
        expect(torch.equal(kept, goodness), "unchanged goodness", "goodness changed in place")
        expect(torch.equal(first, second), "the same scores twice", "different scores the second time")

    @check("The order of classes is arbitrary and must not change the accuracy.")
    def treats_labels_equally(self) -> None:
        """Permuted labels give permuted scores."""
        order = torch.tensor([3, 0, 4, 1, 2])
        goodness = self.goodness()
        far = distance(self.scores(goodness[:, :, order]), self.scores(goodness)[:, order])
        expect(far < 1e-5, "the same scores in the other order", f"a relative difference of {far:.2g}")

    @check("A prediction must not depend on the other images.")
    def treats_samples_independently(self) -> None:
        """A sample has the same scores alone and together with others."""
        goodness = self.goodness()
        whole = self.scores(goodness)
        for sample in (0, 7):
            far = distance(self.scores(goodness[:, sample : sample + 1]), whole[sample : sample + 1])
            expect(far < 1e-5, "the same scores for a single sample", f"a relative difference of {far:.2g}")

    @check("Higher goodness means a more likely label; with reversed scores every prediction is wrong.")
    def more_goodness_scores_higher(self) -> None:
        """The label with the largest goodness in every layer has the largest score."""
        goodness = self.goodness()
        best = torch.arange(SAMPLES) % CLASSES
        goodness[:, torch.arange(SAMPLES), best] += goodness.max() + 1
        right = int((self.scores(goodness).argmax(dim=1) == best).sum())
        expect(right == SAMPLES, f"{SAMPLES} of {SAMPLES} such labels predicted", f"{right}")

    @check("Tables use it to show which layers a prediction needs.")
    def layers_stay_inside(self) -> None:
        """layers(depth) is a non-empty list of different layer indices from 0 to depth - 1, for depths 1 to 12."""
        for depth in DEPTHS:
            layers = list(self.subject.build().layers(depth))
            good = layers and len(set(layers)) == len(layers) and all(type(i) is int and 0 <= i < depth for i in layers)
            expect(good, f"different layer indices from 0 to {depth - 1}", repr(layers))

    @check("layers() must agree with scores().")
    def depends_on_the_layers_it_names(self) -> None:
        """Scores depend on the goodness of the layers that layers() lists, and on no other."""
        for depth in (2, LAYERS):
            named, goodness = set(self.subject.build().layers(depth)), self.goodness(depth)
            scores, touched = self.scores(goodness), set()
            for layer in range(depth):
                for seed in range(1, 4):
                    other = goodness.clone()
                    other[layer] = self.goodness(depth, seed)[layer] * 10
                    if not torch.equal(self.scores(other), scores):
                        touched.add(layer)
            got = f"scores that depend on the layer indices {sorted(touched)}"
            expect(touched == named, f"scores that depend on the layer indices {sorted(named)} of {depth} layers", got)

    @check("A prediction computes only the labels and layers that it still needs, and must still return scores.")
    def reads_a_label_scan(self) -> None:
        """read(scan) returns [N, K] without NaN, with at least one label of each image above minus infinity."""
        for calibrated in (False, True):
            made = self._made(calibrated)
            if made is None:
                continue
            scores = made.read(self._scan(self._known()))
            good = isinstance(scores, torch.Tensor) and tuple(scores.shape) == (IMAGES, CLASSES)
            expect(good, f"{[IMAGES, CLASSES]} from read()", describe(scores))
            expect(not bool(scores.isnan().any()), "scores without NaN", "NaN")
            alive = bool((scores.amax(dim=1) > -torch.inf).all())
            expect(alive, "a remaining label for every image", "an image whose labels were all ruled out")
            predicted = made.predict(self._scan(self._known()))
            good = predicted.dtype == torch.int64 and tuple(predicted.shape) == (IMAGES,)
            expect(good, f"int64 {[IMAGES]} from predict()", describe(predicted))

    @check("The number of images predicted together depends on the available memory.")
    def reads_images_independently(self) -> None:
        """An image has the same scores alone and together with others, also after calibrate()."""
        for calibrated in (False, True):
            made = self._made(calibrated)
            if made is None:
                continue
            whole = made.read(self._scan(self._known()))
            for image in (0, 7, 23):
                alone = made.read(self._scan(self._known(), slice(image, image + 1)))
                same = torch.allclose(alone, whole[image : image + 1], rtol=1e-4, atol=1e-5)
                expect(same, f"the same scores for image {image} alone", "different scores")

    @check("The order in which evaluators are calibrated must not matter.")
    def calibration_changes_nothing_else(self) -> None:
        """calibrate() does not change its argument and draws from no global generator."""
        made, known = self.subject.build(), self._known()
        kept, before = [known.goodness.clone(), known.labels.clone()], global_states()
        made.calibrate(known)
        drawn = moved(before)
        expect(not drawn, "no draws from global generators", f"draws from {', '.join(drawn)}")
        same = torch.equal(kept[0], known.goodness) and torch.equal(kept[1], known.labels)
        expect(same, "unchanged goodness and labels", "a tensor changed in place")

    @check("The calibration is saved with the network and used for later predictions.")
    def calibration_survives_saving(self) -> None:
        """After state_dict() and load_state_dict() a new evaluator gives the same scores."""
        made = self._made(calibrated=True)
        again = self.subject.build()
        again.load_state_dict(made.state_dict())
        first, second = (evaluator.read(self._scan(self._known())) for evaluator in (made, again))
        expect(torch.equal(first, second), "the same scores after loading", "different scores")

    @check("If the true label has by far the highest goodness in every layer, no other prediction makes sense.")
    def predicts_clear_cases(self) -> None:
        """After calibration on images with a clear true label it predicts at least 90 % of them correctly."""
        known = self._known()
        predicted = self._made(calibrated=True).predict(self._scan(known))
        accuracy = float((predicted == known.labels).float().mean())
        expect(accuracy >= 0.9, "an accuracy of at least 90 %", f"{accuracy:.0%}")

    def _made(self, calibrated: bool) -> Any:
        # None if the evaluator needs calibration and none is wanted
        made = self.subject.build()
        if calibrated:
            made.calibrate(self._known())
        elif made.needs:
            return None
        return made

    def _known(self) -> Calibration:
        # images with a clear true label, in goodness and in features
        truth = torch.arange(IMAGES) % CLASSES
        goodness = numbers(LAYERS, (IMAGES, CLASSES), 3).square()
        goodness[:, torch.arange(IMAGES), truth] += 12
        centres = 4 * numbers(CLASSES, (UNITS,), 4)
        features = {layer: centres[truth] + numbers(IMAGES, (UNITS,), 5 + layer) for layer in range(LAYERS)}
        fit = {layer: centres[truth] + numbers(IMAGES, (UNITS,), 15 + layer) for layer in range(LAYERS)}
        return Calibration(goodness, truth, "pair", features, fit, truth)

    def _scan(self, known: Calibration, images: slice = slice(None)) -> RecordedLabelScan:
        features = {layer: value[images] for layer, value in (known.features or {}).items()}
        return RecordedLabelScan(known.goodness[:, images].clone(), features, known.form)
