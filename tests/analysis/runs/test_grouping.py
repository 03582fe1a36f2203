"""Groups of runs, their comparison, and the other differences between groups."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from ffprobe.analysis.runs.comparison import compare_groups
from ffprobe.analysis.runs.grouping import deciding, group_differences, group_runs
from ffprobe.analysis.runs.summary import RunSummary
from ffprobe.config.preset_files import BASE_PRESET, read_preset
from ffprobe.errors import UsageError

SAME = {"device": "cpu", "precision": "fp32", "threads": 1, "dataset_sha256": "a" * 64, "test_sha256": "b" * 64}


def run(
    seed: int | None = 0,
    test: float = 90,
    validation: float = 91,
    complete: bool = True,
    epochs: int = 20,
    attributes: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    **slots: Any,
) -> RunSummary:
    """One run of vanilla with some slots changed."""
    config = {k: v for k, v in read_preset(BASE_PRESET).items() if isinstance(v, dict)}
    config |= {k: v if isinstance(v, dict) else {"name": v} for k, v in slots.items()}
    config |= {"seed": seed, "training": {"epochs": epochs, "num_evaluations": 20, **(training or {})}}
    path = Path(f"{'-'.join(map(str, slots.values()))}-{seed}.h5")
    return RunSummary(path, complete, config, {**SAME, **(attributes or {})}, epochs, test, validation, 10.0)


def labels(runs: list[RunSummary], by: tuple[str, ...] = ()) -> list[tuple[str, str, int]]:
    return [(g.dataset, g.label, len(g.runs)) for g in group_runs(runs, by)]


def test_runs_that_differ_only_in_the_seed_are_one_group() -> None:
    runs = [run(seed, loss=loss) for seed in (0, 1, 2) for loss in ("symba", "fixed-threshold")]
    assert labels(runs) == [("digits", "symba", 3), ("digits", "fixed-threshold", 3)]


@pytest.mark.parametrize("change", [{"epochs": 50}, {"network": {"name": "tff-s", "width": 0.5}}, {"loss": "symba"}])
def test_any_other_setting_makes_another_group(change: dict[str, Any]) -> None:
    assert len(group_runs([run(), run(**change)])) == 2


def test_settings_of_when_to_measure_do_not_split_groups() -> None:
    runs = [run(training={"num_evaluations": n, "test": test}) for n, test in ((20, "end"), (5, "every"))]
    assert len(group_runs(runs)) == 1
    assert "training.num_evaluations" not in deciding(runs[0].config)


def test_settings_of_one_plugin_make_groups() -> None:
    runs = [run(loss={"name": "fixed-threshold", "threshold": t}) for t in (2, 10)]
    assert labels(runs) == [("digits", "threshold=2", 1), ("digits", "threshold=10", 1)]


def test_groups_of_a_data_set_are_adjacent_with_unique_labels() -> None:
    runs = [run(dataset=d, loss=loss) for loss in ("symba", "x") for d in ("digits", "mnist")]
    assert [(d, label) for d, label, _ in labels(runs)] == [
        ("digits", "symba"),
        ("digits", "x"),
        ("mnist", "symba"),
        ("mnist", "x"),
    ]


def test_unfinished_runs_are_separate_groups() -> None:
    runs = [run(0), run(1, complete=False, epochs=20), run(2)]
    runs[1] = RunSummary(**{**vars(runs[1]), "epochs": 3})
    assert labels(runs) == [("digits", "vanilla-ff", 2), ("digits", "vanilla-ff (unfinished, 3 epochs)", 1)]


def test_grouping_by_keys() -> None:
    runs = [run(s, loss=loss, epochs=e) for s in (0, 1) for loss in ("symba", "x") for e in (10, 20)]
    assert labels(runs, ("loss",)) == [("digits", "symba", 4), ("digits", "x", 4)]
    assert labels(runs, ("training.epochs",)) == [("digits", "epochs=10", 4), ("digits", "epochs=20", 4)]
    found = labels(runs, ("loss", "training.epochs"))
    assert {label for _, label, _ in found} == {f"{la} epochs={e}" for la in ("symba", "x") for e in (10, 20)}


def test_a_repeated_seed_counts_once() -> None:
    (group,) = group_runs([run(0, test=80), run(0, test=90), run(1, test=60)])
    assert group.by_seed(lambda one: one.test) == {0: 85, 1: 60}
    (found,) = compare_groups([group])
    assert found.n == 2
    assert any("3 runs of 2 seeds" in note for note in found.notes())


def test_differences_that_split_the_groups_alike_share_one_sentence() -> None:
    slow = {"epochs": 50, "network": {"name": "tff-s", "width": 0.5}, "attributes": {"threads": 2}}
    groups = group_runs([run(loss="symba"), run(loss="x"), run(loss="symba", **slow), run(loss="x", **slow)])
    (sentence,) = group_differences(groups)
    for part in ("training.epochs (20; 50)", "network.width (None; 0.5)", "threads (1; 2)"):
        assert part in sentence
    assert sentence.index(groups[0].label) < sentence.index(groups[2].label)


def test_settings_that_are_grouped_by_are_not_differences() -> None:
    groups = group_runs([run(loss="symba"), run(loss={"name": "x", "k": 1}, normalizer="batchnorm")])
    assert group_differences(groups) == []
    by = group_runs([run(loss="symba"), run(loss="x", normalizer="batchnorm")], ("loss",))
    (sentence,) = group_differences(by, ("loss",))
    assert "normalizer.name (length; batchnorm)" in sentence
    assert "loss" not in sentence
    assert "normalizer.to" not in sentence  # another normalizer has other settings


def test_differences_of_the_environment_within_a_group_are_reported() -> None:
    groups = group_runs([run(0), run(1, attributes={"precision": "bf16"})])
    assert group_differences(groups) == ["precision differs within vanilla-ff: fp32, bf16."]


def test_other_images_are_reported_for_runs_with_the_same_seed() -> None:
    other = {"dataset_sha256": "c" * 64}
    assert group_differences(group_runs([run(0), run(1, attributes=other)])) == []  # another split for another seed
    (sentence,) = group_differences(group_runs([run(0), run(0, loss="x", attributes=other)]))
    assert "dataset_sha256" in sentence
    (test_set,) = group_differences(group_runs([run(0), run(0, loss="x", attributes={"test_sha256": "d" * 64})]))
    assert "test_sha256 (bbbbbbbb...; dddddddd...)" in test_set


def test_data_sets_are_not_compared_with_each_other() -> None:
    groups = group_runs([run(dataset="digits"), run(dataset="mnist", epochs=50, attributes={"threads": 2})])
    assert group_differences(groups) == []
    assert [one.difference for one in compare_groups(groups)] == [None, None]


def test_differences_are_paired_by_seed() -> None:
    first = [run(seed, test=70 + 5 * seed) for seed in (0, 1, 2)]
    second = [run(seed, test=71 + 5 * seed + seed / 10, loss="x") for seed in (2, 0, 1)]
    one, other = compare_groups(group_runs([*first, *second]))
    assert one.difference is None
    assert other.paired == (0, 1, 2)
    assert other.difference is not None
    assert other.difference.mean == pytest.approx(1.1)
    assert other.difference.sd == pytest.approx(0.1)  # the 5 points between seeds are gone
    assert other.p == pytest.approx(other.difference.p)


def test_only_common_seeds_are_paired_and_their_absence_is_noted() -> None:
    runs = [*(run(s, test=70 + s) for s in (0, 1)), *(run(s, test=80 + s, loss="x") for s in (1, 2))]
    _, partly = compare_groups(group_runs(runs))
    assert partly.paired == (1,)
    assert "1 of 2 seeds" in " ".join(partly.notes())
    _, none = compare_groups(group_runs([run(0), run(5, loss="x")]))
    assert none.difference is None
    assert "no seed in common" in " ".join(none.notes())


def test_test_and_validation_are_never_mixed() -> None:
    read = [run(s, test=60 + s, validation=90 + 2 * s) for s in (0, 1)]
    unread = [run(s, test=math.nan if s else 70, validation=95 + 3 * s, loss="x") for s in (0, 1)]
    one, other = compare_groups(group_runs([*read, *unread]))
    assert (one.part, other.part, other.on) == ("test", "validation", "validation")
    assert other.difference is not None
    assert other.difference.mean == pytest.approx(((95 - 90) + (98 - 92)) / 2)
    assert other.mean["test"].mean == 70  # type: ignore[union-attr]
    assert "test accuracy is that of 1 of 2 runs" in " ".join(other.notes())


def test_p_values_are_corrected_over_all_groups() -> None:
    runs = [run(s, test=50 + s**2) for s in range(4)]
    for loss, gain in (("a", 1), ("b", 2)):
        runs += [run(s, test=50 + s**2 + gain + s % 2, loss=loss) for s in range(4)]
    found = compare_groups(group_runs(runs))
    raw = [one.difference.p for one in found[1:] if one.difference]
    assert min(one.p for one in found[1:]) == pytest.approx(2 * min(raw))


def test_the_baseline_can_be_named() -> None:
    groups = group_runs([run(loss="a", test=60), run(loss="b", test=70)])
    one, other = compare_groups(groups, "b")
    assert other.difference is None
    assert one.difference is not None
    assert one.difference.mean == -10
    with pytest.raises(UsageError, match=r"'c'.*Known: 'a', 'b'"):
        compare_groups(groups, "c")
