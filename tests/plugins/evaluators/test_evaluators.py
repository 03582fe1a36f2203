"""Every evaluator against the same prediction written out for one image at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import ffprobe

L, N, K, UNITS = 4, 300, 6, 5
LABELS = torch.arange(N) % K


def signal(strength: tuple[float, ...] = (0.6, 1.0, 1.6, 2.2), seed: int = 0) -> torch.Tensor:
    """Goodness ``[L, N, K]`` in which the true label stands out, more in later layers; the layers share noise."""
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(N, K, generator=generator)
    goodness = torch.stack([shared + 0.3 * torch.randn(N, K, generator=generator) for _ in range(L)])
    for layer, height in enumerate(strength):
        goodness[layer, torch.arange(N), LABELS] += height
    return goodness


def calibration(goodness: torch.Tensor | None = None, clear: float = 1.5, form: Any = "pair") -> ffprobe.Calibration:
    """Validation images with features whose class means are about ``clear`` apart."""
    generator = torch.Generator().manual_seed(3)
    centres = clear * torch.randn(K, UNITS, generator=generator)
    features, fit = (
        {layer: centres[LABELS] + torch.randn(N, UNITS, generator=generator) for layer in range(L)} for _ in range(2)
    )
    return ffprobe.Calibration(signal() if goodness is None else goodness, LABELS, form, features, fit, LABELS)


def make(name: str, **settings: Any) -> Any:
    component: Any = ffprobe.registered("evaluator")[name]
    return component(component.Params(**settings))


def calibrated(name: str, given: ffprobe.Calibration | None = None, **settings: Any) -> Any:
    evaluator = make(name, **settings)
    evaluator.calibrate(given or calibration())
    return evaluator


def scan(goodness: torch.Tensor | None = None) -> ffprobe.RecordedLabelScan:
    return calibration(goodness).scan()


ALL = ["layer-goodness", "interval", "candidates", "early-exit", "goodness-classifier", "one-pass", "propose"]


@pytest.mark.parametrize("name", ALL)
def test_each_image_is_read_by_itself(name: str) -> None:
    evaluator, given = calibrated(name, loss=2.0) if name in ALL[2:4] else calibrated(name), calibration()
    together = evaluator.read(given.scan())
    one_by_one = torch.cat([evaluator.read(given.subset([i]).scan()) for i in range(40)])
    torch.testing.assert_close(together[:40], one_by_one)


@pytest.mark.parametrize("name", ALL)
def test_chosen_parameters_survive_a_checkpoint(name: str) -> None:
    evaluator = calibrated(name)
    other = make(name)
    other.load_state_dict(evaluator.state_dict())
    assert torch.equal(other.read(scan()), evaluator.read(scan()))


@pytest.mark.parametrize("name", [n for n in ALL if n != "one-pass"])
def test_before_calibration_everything_is_read(name: str) -> None:
    evaluator, given = make(name), scan()
    assert torch.equal(evaluator.predict(given), evaluator.scores(signal()).argmax(1))


def test_one_pass_has_no_scores_from_goodness() -> None:
    with pytest.raises(ffprobe.UsageError, match="reads features; it has no scores from goodness"):
        make("one-pass").scores(signal())


# --- interval


def test_the_best_interval_is_found_by_brute_force() -> None:
    goodness = signal((2.0, 0.1, 2.0, 2.0))
    goodness[1] = torch.randn(N, K, generator=torch.Generator().manual_seed(9)) * 3
    right = {
        (a, b): int((goodness[a : b + 1].mean(0).argmax(1) == LABELS).sum()) for b in range(L) for a in range(b + 1)
    }
    evaluator = calibrated("interval", calibration(goodness))
    first, last = evaluator.chosen["first"] - 1, evaluator.chosen["last"] - 1
    assert right[first, last] == max(right.values())
    assert torch.equal(evaluator.scores(goodness), goodness[first : last + 1].mean(0))
    given = scan(goodness)
    evaluator.predict(given)
    assert given.evaluations == [N * K if layer <= last else 0 for layer in range(L)]


def test_of_equally_good_intervals_the_one_that_ends_first_and_is_shortest() -> None:
    evaluator = calibrated("interval", calibration(signal((0, 50, 50, 50))))
    assert evaluator.chosen == {"first": 2, "last": 2}
    assert calibrated("interval", calibration(signal((0, 50, 50, 50))), last=3).chosen == {"first": 3, "last": 3}
    assert calibrated("interval", calibration(signal((0, 50, 50, 50))), first=1).chosen["first"] == 1


def test_an_interval_beyond_the_network_is_refused() -> None:
    with pytest.raises(
        ffprobe.UsageError, match="No interval of layers with goodness fits the settings; the network has 4 layers"
    ):
        calibrated("interval", last=5)


def test_layers_without_goodness_are_in_no_interval_and_have_no_influence() -> None:
    goodness = signal()
    goodness[1] = torch.nan
    given = calibration(goodness)
    assert given.trained_layers == [0, 2, 3]
    assert calibrated("interval", given).chosen["first"] > 2
    assert calibrated("candidates", given, loss=50).chosen["after"] != 2
    assert calibrated("early-exit", given, loss=50).chosen["weight"][:, 1].tolist() == [0, 0, 0]
    for name in ("interval", "candidates", "early-exit", "goodness-classifier", "propose"):
        right = (calibrated(name, given).predict(given.scan()) == LABELS).float().mean()
        assert right > (goodness[-1].argmax(1) == LABELS).float().mean() - 0.02, name


# --- candidates


@pytest.mark.parametrize(("after", "labels", "last"), [(1, 2, 1), (2, 3, 2), (3, 1, 1)])
def test_candidates_one_image_at_a_time(after: int, labels: int, last: int) -> None:
    goodness, given = signal(), scan()
    evaluator = make("candidates", after=after, labels=labels, last=last)
    named = evaluator.predict(given)
    for i in range(N):
        kept = sorted(range(K), key=lambda k: -float(goodness[after - 1, i, k]))[:labels]
        assert int(named[i]) == max(kept, key=lambda k: float(goodness[L - last :, i, k].mean()))
    assert given.evaluations == [N * K if layer < after else N * labels for layer in range(L)]


def test_candidates_within_a_gap_one_image_at_a_time() -> None:
    goodness, given = signal(), scan()
    evaluator = make("candidates")
    weight, bias = torch.tensor([[1.0, 0, 0], [-0.5, 2, 0], [0, 0, 0]]).double(), torch.randn(3, K).double() / 5
    evaluator.chosen = {"after": 2, "gap": 1.0, "weight": weight, "bias": bias}
    named, tried = evaluator.predict(given), []
    for i in range(N):
        odds = [float(2 * goodness[1, i, k] - 0.5 * goodness[0, i, k] + bias[1, k]) for k in range(K)]
        kept = [k for k in range(K) if odds[k] >= max(odds) - 1.0]
        tried.append(len(kept) if len(kept) > 1 else 0)
        assert int(named[i]) == max(kept, key=lambda k: float(goodness[-1, i, k]))
    assert {0, 2, 3} <= set(tried)
    assert given.evaluations == [N * K, N * K, sum(tried), sum(tried)]


def test_candidates_chosen_lose_no_more_than_allowed() -> None:
    given = calibration()
    whole = (given.goodness[-1].argmax(1) == LABELS).sum()
    costs = []
    for loss in (0.0, 2.0, 10.0):
        evaluator, read = calibrated("candidates", given, loss=loss), given.scan()
        lost = 100 * int(whole - (evaluator.predict(read) == LABELS).sum()) / N
        assert lost <= loss
        costs.append(sum(read.evaluations))
    assert costs[0] > costs[1] > costs[2]


# --- early exit


@pytest.mark.parametrize("prune", [False, True])
def test_early_exit_one_image_at_a_time(prune: bool) -> None:
    goodness, given = signal(), scan()
    evaluator = make("early-exit", prune=prune)
    weight, bias = torch.tensor([[1.0, 0, 0], [-0.5, 2, 0], [-0.2, -0.5, 2.5]]).double(), torch.randn(3, K).double() / 5
    evaluator.chosen = {"gap": 1.5, "weight": weight, "bias": bias}
    named, evaluations, left = evaluator.predict(given), [0] * L, [0] * L
    for i in range(N):
        alive = list(range(K))
        for layer in range(L):
            evaluations[layer] += len(alive)
            if layer == L - 1:
                left[layer] += 1
                assert int(named[i]) == max(alive, key=lambda k: float(goodness[layer, i, k]))
                break
            odds = {
                k: float(sum(weight[layer, j] * goodness[j, i, k] for j in range(layer + 1)) + bias[layer, k])
                for k in alive
            }
            own = sorted(alive, key=lambda k: -odds[k])
            if len(own) == 1 or odds[own[0]] - odds[own[1]] > 1.5:
                left[layer] += 1
                assert int(named[i]) == own[0]
                break
            if prune:
                alive = [k for k in alive if odds[own[0]] - odds[k] <= 1.5]
    assert given.evaluations == evaluations
    assert all(left)


def test_the_early_exit_model_is_a_multinomial_logit_of_shared_weights() -> None:
    from scipy.optimize import check_grad  # the optimum is where the likelihood, written out anew, is flat

    given = calibration()
    named = given.goodness[-1].argmax(1)
    model = ffprobe.fit_early_exit(given, named)
    right = (named == LABELS).nonzero().flatten().tolist()

    def likelihood(parameters: Any) -> float:
        w, b = torch.tensor(parameters[:2]), torch.tensor(parameters[2:])
        logits = [given.goodness[0, i] * w[0] + given.goodness[1, i] * w[1] + b for i in right]
        return float(torch.stack([x.log_softmax(0)[named[i]] for x, i in zip(logits, right, strict=True)]).mean())

    parameters = torch.cat([model.weight[1, :2], model.bias[1]]).numpy()
    assert check_grad(likelihood, lambda x: x * 0, parameters, epsilon=1e-5) < 2e-3
    assert model.weight[0, 1:].tolist() == [0, 0]  # later layers have no weight


def test_early_exit_uses_the_goodness_of_earlier_layers() -> None:
    # two layers share their noise: only the difference of their goodness identifies the label
    goodness = signal((0.0, 3.0, 3.0, 9.0))
    goodness[1] = goodness[0] + torch.nn.functional.one_hot(LABELS, K)
    read = (given := calibration(goodness)).scan()
    evaluator = calibrated("early-exit", given, prune=True)
    evaluator.chosen["gap"] = 0.5
    assert (evaluator.predict(read) == LABELS).all()
    assert read.evaluations == [N * K, N * K, 0, 0]
    assert evaluator.chosen["weight"][1, 0] < 0 < evaluator.chosen["weight"][1, 1]


def test_the_loss_on_new_images_stays_within_the_allowed_loss() -> None:
    within = []
    for seed in range(20):
        given = calibration(signal((0.6, 1.0, 1.6, 2.6), seed))
        evaluator = calibrated("early-exit", given, prune=True, loss=4.0)
        goodness = signal((0.6, 1.0, 1.6, 2.6), 1000 + seed)
        read = ffprobe.RecordedLabelScan(goodness)
        loss = (goodness[-1].argmax(1) == LABELS).float().mean() - (evaluator.predict(read) == LABELS).float().mean()
        within.append(100 * float(loss) <= 4.0)
    assert sum(within) >= 18


def test_early_exit_saves_more_with_a_larger_allowed_loss() -> None:
    given = calibration()
    costs = []
    for loss in (0.0, 3.0, 20.0):
        read = given.scan()
        calibrated("early-exit", given, loss=loss).predict(read)
        costs.append(sum(read.evaluations))
    assert costs[0] >= costs[1] > costs[2]


def test_the_last_layers_decide_on_images_that_stay() -> None:
    goodness = signal()
    for name in ("early-exit", "candidates", "propose"):
        evaluator = make(name, last=3)
        torch.testing.assert_close(evaluator.read(scan(goodness)), goodness[-3:].mean(0))


# --- heads


def test_the_classifier_learns_which_layer_to_trust() -> None:
    goodness = signal((0.0, 0.0, 4.0, 0.0))
    assert (calibrated("goodness-classifier", calibration(goodness)).scores(goodness).argmax(1) == LABELS).all()
    assert (goodness[-1].argmax(1) == LABELS).float().mean() < 0.5


def test_one_pass_reads_the_chosen_layers() -> None:
    given = calibration()
    for layers, seen in (("all", [0, 1, 2, 3]), ("all-but-first", [1, 2, 3]), ("last", [3])):
        evaluator, read = calibrated("one-pass", given, layers=layers), given.scan()
        scores = evaluator.read(read)
        head = ffprobe.fit_head(torch.cat([given.fit_features[i] for i in seen], 1), LABELS, K, 10.0)  # type: ignore[index]
        expected = head.log_probabilities(torch.cat([given.features[i] for i in seen], 1))  # type: ignore[index]
        torch.testing.assert_close(scores, expected)
        assert read.evaluations == [N] * L


def test_propose_one_image_at_a_time() -> None:
    given = calibration(clear=0.5)
    evaluator, read = calibrated("propose", given, gap=1.0, labels=3), given.scan()
    named = evaluator.predict(read)
    head = ffprobe.Head(evaluator.chosen["weight"], evaluator.chosen["bias"])
    likely = head.log_probabilities(torch.cat([given.features[i] for i in range(L)], 1))  # type: ignore[index]
    tried = []
    for i in range(N):
        order = sorted(range(K), key=lambda k: -float(likely[i, k]))[:3]
        kept = [k for k in order if likely[i, k] >= likely[i, order[0]] - 1.0]
        tried.append(len(kept) if len(kept) > 1 else 0)
        assert int(named[i]) == max(kept, key=lambda k: float(given.goodness[-1, i, k]))
    assert {0, 2, 3} <= set(tried)
    assert read.evaluations == [N + sum(tried)] * L


def test_propose_uses_goodness_if_the_head_is_worse() -> None:
    strong = signal((3, 3, 3, 9))
    sure, unsure = (calibrated("propose", calibration(strong, clear), labels=K) for clear in (9.0, 0.3))
    assert sure.chosen["gap"] == 0  # the head is always right, so one pass is enough
    assert unsure.chosen["gap"] > 0
    given = calibration(strong, 0.3)
    assert (unsure.predict(given.scan()) == LABELS).float().mean() > 0.97


def test_propose_without_features_is_a_full_label_scan() -> None:
    evaluator = calibrated("propose", ffprobe.Calibration(signal(), LABELS))
    assert evaluator.chosen == {}


# --- choosing


class Coin(ffprobe.Evaluator):
    """Reads the last layer, but makes some images wrong and uses some layers."""

    name = "coin"

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        return goodness[-1]

    def read(self, scan: Any) -> torch.Tensor:
        scores = scan.full(range(self.chosen["pays"])).nan_to_num()[-1] * 0 + truth(scan.images)
        scores[: self.chosen["spoils"]] *= -1
        return scores


def truth(count: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.arange(count) // (count // K or 1) % K, K).float()


def choose(loss: float, *options: tuple[int, int], chain: Any = None) -> dict[str, Any]:
    """Options are (layers used, images made wrong in each half), for 1200 images, 600 in each half."""
    labels = torch.arange(1200) // 200
    goodness = torch.nn.functional.one_hot(labels, K).float().expand(L, -1, -1).clone()
    evaluator = Coin()
    table = [{"pays": pays, "spoils": spoils} for pays, spoils in options]
    return ffprobe.select_cheapest(evaluator, ffprobe.Calibration(goodness, labels), lambda other: table, loss, chain)


class Keep(ffprobe.Evaluator):
    """Keeps the best label after the first layer, or all labels up to the second; its own setting is a list."""

    name = "keep"

    class Params(ffprobe.Params):
        """A list, which a cache must not need as a key."""

        several: list[int] = [1, 2]

    def scores(self, goodness: torch.Tensor) -> torch.Tensor:
        return goodness[-1]

    def read(self, scan: Any) -> torch.Tensor:
        scores = scan.advance(scan.everyone())
        if self.chosen["keeps"] == "all":
            return scan.advance(scan.everyone())
        for _ in range(L - 1):
            scan.advance(scores == scores.amax(dim=1, keepdim=True))
        return scores


@pytest.mark.parametrize(("costs", "keeps"), [((), "best"), ((1.0, 1.0, 9.0, 9.0), "all"), ((0.0,) * L, "best")])
def test_cost_is_counted_in_multiply_adds_if_they_are_known(costs: tuple[float, ...], keeps: str) -> None:
    goodness = torch.nn.functional.one_hot(LABELS, K).float().expand(L, -1, -1).clone()
    given = ffprobe.Calibration(goodness, LABELS, layer_costs=costs)
    # 6 + 1 + 1 + 1 layer evaluations an image against 6 + 6; 6 + 1 + 9 + 9 against 12 at these costs
    options = [{"keeps": "all"}, {"keeps": "best"}]
    assert ffprobe.select_cheapest(Keep(), given, lambda other: options, 0.1) == {"keeps": keeps}


def test_the_cheapest_option_with_a_surely_small_loss_is_chosen() -> None:
    options = [(4, 0), (3, 1), (2, 3), (1, 30)]
    # wrong in total: 0, 2, 6, 60 of 1200; plus 1.645 standard errors: 0, 4.33, 10.03, 72.7 images
    assert choose(0.0, *options)["pays"] == 4
    assert choose(0.35, *options)["pays"] == 4
    assert choose(0.37, *options)["pays"] == 3
    assert choose(0.83, *options)["pays"] == 3
    assert choose(0.84, *options)["pays"] == 2
    assert choose(6.1, *options)["pays"] == 1


def test_a_chain_ends_at_the_first_option_beyond_the_limit() -> None:
    lucky = [(4, 0), (3, 30), (2, 1), (1, 90)]
    assert choose(1.0, *lucky)["pays"] == 2
    assert choose(1.0, *lucky, chain=lambda option: "all")["pays"] == 4
    # two chains share the error: 1.96 standard errors, so 2 wrong images count as 4.77
    assert choose(0.39, *lucky, chain=lambda option: option["pays"] % 2)["pays"] == 4
    assert choose(0.40, (4, 0), (2, 1), (3, 0), (1, 90), chain=lambda option: option["pays"] % 2)["pays"] == 2


def test_the_most_accurate_option_is_taken_if_none_is_within_the_limit() -> None:
    assert choose(0.0, (1, 30), (3, 2), (2, 5)) == {"pays": 3, "spoils": 2}


def test_thresholds_are_tried_on_held_out_images() -> None:
    seen = []
    evaluator, given = Coin(), ffprobe.Calibration(signal(), LABELS)

    def options(other: ffprobe.Calibration) -> list[dict[str, int]]:
        seen.append(other.labels)
        return [{"pays": 4, "spoils": 0}]

    ffprobe.select_cheapest(evaluator, given, options, 0.1)
    assert torch.equal(seen[0], LABELS[1::2])
    assert torch.equal(seen[1], LABELS[::2])
    assert torch.equal(seen[2], LABELS)
    assert len(seen) == 3
    ffprobe.select_cheapest(evaluator, given, options, 5.0)
    assert len(seen) == 3  # the options tried do not depend on the allowed loss
