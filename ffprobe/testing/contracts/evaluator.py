"""What an evaluator must obey."""

from __future__ import annotations

from typing import Any

import torch

from ffprobe.errors import UsageError
from ffprobe.prediction.calibration import Calibration
from ffprobe.prediction.recorded_label_scan import RecordedLabelScan
from ffprobe.testing.contract import Skip, check, expect
from ffprobe.testing.contracts.component import ComponentContract
from ffprobe.testing.materials import distance, is_finite, numbers, told
from ffprobe.testing.randomness import global_states, moved

LAYERS, SAMPLES, CLASSES = 4, 12, 5
UNITS, IMAGES = 6, 40
"""Of recorded features, and of the images that an evaluator is calibrated on."""
DEPTHS = range(1, 13)


class EvaluatorContract(ComponentContract):
    """The checks of an evaluator: ``scores`` gives ``[N, K]`` from goodness ``[L, N, K]``."""

    kind = "evaluator"

    def goodness(self, depth: int = LAYERS, seed: int = 0) -> torch.Tensor:
        """Goodness ``[L, N, K]``, none below 0."""
        return numbers(depth, (SAMPLES, CLASSES), seed).square()

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        """What a fresh evaluator gives; Skip where it refuses goodness in words, since it reads something else."""
        try:
            scores = self.subject.build().scores(goodness)
        except UsageError as refusal:
            raise Skip(f"it has no scores from goodness: {refusal.what}") from None
        expect(isinstance(scores, torch.Tensor), "a tensor of scores", told(scores))
        assert isinstance(scores, torch.Tensor)
        return scores

    @check("The prediction is its largest column.")
    def gives_a_score_for_each_label(self) -> None:
        """Floating-point, finite [N, K], without a graph, for depths 1 to 12."""
        for depth in DEPTHS:
            scores = self.scores(self.goodness(depth))
            good = tuple(scores.shape) == (SAMPLES, CLASSES) and scores.is_floating_point()
            expect(good, f"floating-point {[SAMPLES, CLASSES]} from {depth} layers", told(scores))
            expect(is_finite(scores), f"finite scores from {depth} layers", "NaN or infinity")
            expect(not scores.requires_grad, "scores without a graph", "scores that carry a graph")

    @check("Sums over wide layers reach millions, dead layers give zero.")
    def is_finite_for_any_goodness(self) -> None:
        """Goodness of 0, of 1e8 and a mixture of both gives finite scores."""
        mixed = self.goodness()
        mixed[1], mixed[2] = 1e8, 0
        for name, value in {"0": mixed * 0, "1e8": mixed * 0 + 1e8, "layers of 0 and of 1e8": mixed}.items():
            expect(is_finite(self.scores(value)), f"finite scores for goodness of {name}", "NaN or infinity")

    @check("All evaluators are compared on one recorded tensor, again and again.")
    def is_pure(self) -> None:
        """The same goodness gives the same scores; the goodness is not changed, and nothing is drawn."""
        goodness = self.goodness()
        self.scores(goodness)
        kept, made, before = goodness.clone(), self.subject.build(), global_states()
        first, second = made.scores(goodness).clone(), made.scores(goodness)
        drawn = moved(before)
        expect(not drawn, "no random numbers", f"draws from {', '.join(drawn)}")
        expect(torch.equal(kept, goodness), "the goodness as it was", "goodness changed in place")
        expect(torch.equal(first, second), "the same scores twice", "other scores the second time")

    @check("A label has no meaning but its name: renaming classes must not change who is right.")
    def labels_are_equal_before_it(self) -> None:
        """Labels in another order give the scores in that order."""
        order = torch.tensor([3, 0, 4, 1, 2])
        goodness = self.goodness()
        far = distance(self.scores(goodness[:, :, order]), self.scores(goodness)[:, order])
        expect(far < 1e-5, "the same scores, in the other order", f"a difference of {far:.2g} of the largest")

    @check("A prediction must not depend on which other images are evaluated.")
    def samples_are_kept_apart(self) -> None:
        """A sample's scores are the same alone and among others."""
        goodness = self.goodness()
        whole = self.scores(goodness)
        for sample in (0, 7):
            far = distance(self.scores(goodness[:, sample : sample + 1]), whole[sample : sample + 1])
            expect(far < 1e-5, "the same scores for a sample alone", f"a difference of {far:.2g} of the largest")

    @check("Higher goodness means `more likely this label`; scores the other way round are always wrong.")
    def more_goodness_scores_higher(self) -> None:
        """A label whose goodness is the largest in every layer has the largest score."""
        goodness = self.goodness()
        best = torch.arange(SAMPLES) % CLASSES
        goodness[:, torch.arange(SAMPLES), best] += goodness.max() + 1
        right = int((self.scores(goodness).argmax(dim=1) == best).sum())
        expect(right == SAMPLES, f"{SAMPLES} of {SAMPLES} such labels predicted", f"{right}")

    @check("Tables say by it which layers a prediction needs.")
    def layers_stay_inside(self) -> None:
        """layers(depth) is a list of different layers from 0 to depth - 1, at least one, for depths 1 to 12."""
        for depth in DEPTHS:
            said = list(self.subject.build().layers(depth))
            good = said and len(set(said)) == len(said) and all(type(i) is int and 0 <= i < depth for i in said)
            expect(good, f"different layers from 0 to {depth - 1}", repr(said))

    @check("What layers() says must be what scores() does.")
    def looks_at_the_layers_it_names(self) -> None:
        """Goodness of a layer that layers() does not name changes no score; one that it names does."""
        for depth in (2, LAYERS):
            named, goodness = set(self.subject.build().layers(depth)), self.goodness(depth)
            scores, touched = self.scores(goodness), set()
            for layer in range(depth):
                for seed in range(1, 4):
                    other = goodness.clone()
                    other[layer] = self.goodness(depth, seed)[layer] * 10
                    if not torch.equal(self.scores(other), scores):
                        touched.add(layer)
            came = f"scores that follow the layers {sorted(touched)}"
            expect(touched == named, f"scores that follow the layers {sorted(named)} of {depth}", came)

    @check("Predicting pays only for the labels and layers that it still needs, and must come to scores all the same.")
    def reads_a_sweep(self) -> None:
        """read(sweep) gives [N, K] without NaN, at least one label of each image above minus infinity."""
        for calibrated in (False, True):
            made = self._made(calibrated)
            if made is None:
                continue
            scores = made.read(self._sweep(self._known()))
            good = isinstance(scores, torch.Tensor) and tuple(scores.shape) == (IMAGES, CLASSES)
            expect(good, f"{[IMAGES, CLASSES]} from read()", told(scores))
            expect(not bool(scores.isnan().any()), "scores without NaN", "NaN")
            alive = bool((scores.amax(dim=1) > -torch.inf).all())
            expect(alive, "a label left for every image", "an image whose labels were all ruled out")
            found = made.predict(self._sweep(self._known()))
            good = found.dtype == torch.int64 and tuple(found.shape) == (IMAGES,)
            expect(good, f"int64 {[IMAGES]} from predict()", told(found))

    @check("How many images are predicted together is a matter of memory.")
    def reads_each_image_by_itself(self) -> None:
        """An image's scores are the same alone and among others, also after calibrate()."""
        for calibrated in (False, True):
            made = self._made(calibrated)
            if made is None:
                continue
            whole = made.read(self._sweep(self._known()))
            for image in (0, 7, 23):
                alone = made.read(self._sweep(self._known(), slice(image, image + 1)))
                same = torch.allclose(alone, whole[image : image + 1], rtol=1e-4, atol=1e-5)
                expect(same, f"the same scores of image {image} alone", "other scores")

    @check("The test set decides nothing, and neither does who is calibrated first.")
    def calibrates_without_touching(self) -> None:
        """calibrate() changes nothing that it is given, and draws from no global generator."""
        made, known = self.subject.build(), self._known()
        kept, before = [known.goodness.clone(), known.labels.clone()], global_states()
        made.calibrate(known)
        drawn = moved(before)
        expect(not drawn, "no draw from a global generator", f"draws from {', '.join(drawn)}")
        same = torch.equal(kept[0], known.goodness) and torch.equal(kept[1], known.labels)
        expect(same, "goodness and labels as they were", "a tensor changed in place")

    @check("What was chosen is saved with the network, and predicts on another day.")
    def what_it_chose_survives_saving(self) -> None:
        """After state_dict() and load_state_dict() a fresh one gives the same scores."""
        made = self._made(calibrated=True)
        again = self.subject.build()
        again.load_state_dict(made.state_dict())
        first, second = (one.read(self._sweep(self._known())) for one in (made, again))
        expect(torch.equal(first, second), "the same scores after loading", "other scores")

    @check("Where the true label stands out in every layer there is no reason to name another.")
    def reads_a_clear_case_rightly(self) -> None:
        """Calibrated on images whose true label stands out in goodness and features, it names at least nine in ten."""
        known = self._known()
        found = self._made(calibrated=True).predict(self._sweep(known))
        right = float((found == known.labels).float().mean())
        expect(right >= 0.9, "90 % or more named rightly", f"{right:.0%}")

    def _made(self, calibrated: bool) -> Any:
        # None where it reads only what it has been calibrated for
        made = self.subject.build()
        if calibrated:
            made.calibrate(self._known())
        elif made.needs:
            return None
        return made

    def _known(self) -> Calibration:
        # images whose true label stands out, in goodness and in features
        truth = torch.arange(IMAGES) % CLASSES
        goodness = numbers(LAYERS, (IMAGES, CLASSES), 3).square()
        goodness[:, torch.arange(IMAGES), truth] += 12
        centres = 4 * numbers(CLASSES, (UNITS,), 4)
        features = {layer: centres[truth] + numbers(IMAGES, (UNITS,), 5 + layer) for layer in range(LAYERS)}
        fit = {layer: centres[truth] + numbers(IMAGES, (UNITS,), 15 + layer) for layer in range(LAYERS)}
        return Calibration(goodness, truth, "pair", features, fit, truth)

    def _sweep(self, known: Calibration, images: slice = slice(None)) -> RecordedLabelScan:
        features = {layer: value[images] for layer, value in (known.features or {}).items()}
        return RecordedLabelScan(known.goodness[:, images].clone(), features, known.form)
