"""Every topic of an audit: what is fine, what needs a closer look, what the files do not answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analysis.audit.audited_run import TRUTH, audited
from analysis.runs.listed_files import interrupted

from ffprobe.analysis.audit.cost import cost_topic
from ffprobe.analysis.audit.finding import Finding, Topic, per_run
from ffprobe.analysis.audit.floors import floors_topic
from ffprobe.analysis.audit.page import AuditPage, audit_topics
from ffprobe.analysis.audit.provenance import provenance_topic
from ffprobe.analysis.audit.seeds import seeds_topic
from ffprobe.analysis.audit.tested_once import choosing_topic
from ffprobe.analysis.audit.trust import trust_topic
from ffprobe.store.reader import open_run

APART = np.eye(4)[TRUTH]
SAME = np.ones((40, 4))


def said(topic: Topic, status: str) -> str:
    return " ".join(finding.text for finding in topic.findings if finding.status == status)


def test_a_sentence_of_some_runs_has_their_labels() -> None:
    texts: Any = {"a": ["x", "y"], "b": ["y"], "c": ["y", "z"]}
    found = per_run(list(texts), ["a", "b", "c"], lambda run: [Finding("ok", text) for text in texts[run]])  # type: ignore[call-overload]
    assert [finding.text for finding in found] == ["a: x", "y", "c: z"]


@pytest.mark.parametrize(
    ("read", "status", "text"),
    [
        ("once, at the end", "ok", "read once"),
        ("never", "ok", "never read"),
        ("at every evaluation", "look", "read at every evaluation"),
        ("", "open", "does not record when"),
    ],
)
def test_the_test_set_is_read_once(tmp_path: Path, read: str, status: str, text: str) -> None:
    topic = choosing_topic([audited(tmp_path / "a.h5", attributes={"test_set_read": read})], [""])
    assert text in said(topic, status)
    assert "how many other runs" in said(topic, "open")


def test_choices_and_equal_images_are_named(tmp_path: Path) -> None:
    hashes = {"validation_sha256": "v", "test_sha256": "v", "dataset_sha256": "d"}
    run = audited(tmp_path / "a.h5", attributes=hashes, training={"keep_best": True})
    topic = choosing_topic([run], [""])
    assert "chosen by validation accuracy (keep_best)" in said(topic, "ok")
    assert "the same set" in said(topic, "look")


def test_several_tested_settings_are_counted(tmp_path: Path) -> None:
    runs = [audited(tmp_path / f"{rate}.h5", training={"learning_rate": rate}) for rate in (1, 2, 3)]
    assert "3 settings were evaluated on the test set" in said(choosing_topic(runs, ["a", "b", "c"]), "look")


def test_seeds_have_a_mean_a_spread_and_an_interval(tmp_path: Path) -> None:
    runs = [audited(tmp_path / f"{seed}.h5", seed=seed, right=right) for seed, right in enumerate((20, 24, 28))]
    # t of 4.303 for three seeds: 60 +- 4.303 * 10 / sqrt(3)
    text = said(seeds_topic(runs), "ok")
    assert "60.00 % ± 10.00 test accuracy over 3 seeds (95 % interval of the mean 35.16 to 84.84)" in text
    assert "Fewer than 3 seeds" in said(seeds_topic(runs[:2]), "look")
    assert "with one seed" in said(seeds_topic(runs[:1]), "look")


def test_learned_features_are_above_the_frozen_baseline(tmp_path: Path) -> None:
    run = audited(tmp_path / "a.h5", features={"pixels": SAME, "untrained": SAME, "trained": APART})
    topic = floors_topic([run], [""])
    assert "is 25.0 %; the run has 75.0 % (test)" in said(topic, "ok")
    assert "Logistic regression on pixels, fitted on 20 recorded images, has 25.0 %" in said(topic, "ok")
    assert "has 100.0 % after and 25.0 % before training: +75.0" in said(topic, "ok")
    assert "With all" not in said(topic, "ok")
    assert not said(topic, "look") and not said(topic, "open")


def test_a_network_below_its_floors_needs_a_look(tmp_path: Path) -> None:
    features = {"pixels": APART, "untrained": APART, "trained": APART}
    run = audited(tmp_path / "a.h5", right=12, features=features, attributes={"training_images": 900})
    text = said(floors_topic([run], [""]), "look")
    assert "the run has 30.0 % (test)" in text  # 25 + 2 * 6.8 is above 30
    assert "has 100.0 % on 20 held-out ones; the run has 30.0 %. With all 900 training images" in text
    assert "+0.0" in text and "not shown to be above the frozen baseline" in text


def test_floors_that_were_not_recorded_are_open(tmp_path: Path) -> None:
    text = said(floors_topic([audited(tmp_path / "a.h5")], [""]), "open")
    assert "No activations were recorded" in text and "recording.activations=true" in text


def test_trust_names_still_layers_and_gradients_at_their_floor(tmp_path: Path) -> None:
    still = audited(tmp_path / "a.h5", norms=([1.0, 2.0], [1.0, 2.5]), alignment=([0.5, 0.01], [0.1, 0.1]))
    text = said(trust_topic([still], [""]), "look")
    assert "weight of layer 1 has the norm it began with" in text
    assert "In layer 2, the cosine" in text
    fine = audited(tmp_path / "b.h5", alignment=([0.5, 0.5], [0.1, 0.1]))
    text = said(trust_topic([fine], [""]), "ok")
    assert "every layer moved" in text and "In every layer, the cosine" in text and "no warning" in text
    assert "--plugin alignment" in said(trust_topic([audited(tmp_path / "c.h5")], [""]), "open")


def test_what_an_unfinished_file_lacks_is_open(tmp_path: Path) -> None:
    with open_run(interrupted(tmp_path / "a.h5")) as run:
        assert "No accuracy was measured" in said(floors_topic([run], [""]), "open")
        topic = trust_topic([run], [""])
        assert "norms of the weights were not recorded" in said(topic, "open")
        assert "has not finished: 3 epochs" in said(topic, "look")
        assert "No time was recorded" in said(cost_topic([run], [""]), "open")


def test_features_are_read_in_one_pass(tmp_path: Path) -> None:
    facts = {"layer_multiply_adds": [100, 200], "goodness_form": "pair"}
    run = audited(tmp_path / "a.h5", attributes=facts, no_label=True)
    assert "a prediction reads the features of one pass" in said(cost_topic([run], [""]), "fact")


def test_a_collapsed_network_needs_a_look(tmp_path: Path) -> None:
    assert "has collapsed" in said(trust_topic([audited(tmp_path / "a.h5", right=10)], [""]), "look")


def test_cost_and_provenance_are_for_the_record(tmp_path: Path) -> None:
    facts = {
        "layer_multiply_adds": [100, 200], "layer_parameters": [10, 20], "goodness_form": "pair", "threads": 2,
        "class_names": ["a", "b", "c", "d"], "device": "cpu", "torch_version": "2.9", "command": "ffprobe run",
        "plugins": ["symba (mine 1)"], "test_sha256": "abc", "changed_on_resume": ["data.dir"],
    }  # fmt: skip
    run = audited(tmp_path / "a.h5", attributes=facts)
    text = said(cost_topic([run], [""]), "fact")
    assert "12.0 s of wall time for 1 epochs of 20 images, 100 images/s, peak memory 5 MB." in text
    assert "30 parameters, 300 multiply-adds for a forward pass; goodness needs one pass for each of 4 labels." in text
    topic = provenance_topic([run], [""])
    for part in ("torch 2.9", "symba (mine 1)", "sha256 abc", "File a.h5: sha256", "Command: ffprobe run"):
        assert part in said(topic, "fact")
    assert "changes: data.dir" in said(topic, "look")


def test_the_page_is_markdown_without_the_markup_of_files(tmp_path: Path) -> None:
    run = audited(tmp_path / "a.h5", attributes={"command": "run `x` <script> [y](z)"})
    page = AuditPage("Audit of *a*", tuple(audit_topics([run])), "ffprobe audit a.h5", "1")
    text = page.markdown()
    assert text.startswith("# Audit of \\*a\\*\n") and "## Test set" in text
    assert r"Command: run \`x\` \<script\> \[y\](z)" in text
    assert sum(page.counts.values()) == sum(len(topic.findings) for topic in page.topics)
    assert page.to_dict()["topics"][0]["title"] == "Test set"
