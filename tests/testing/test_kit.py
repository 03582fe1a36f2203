"""The test kit for plugin authors: subjects of a check, reports, the toy run, the recorder, the pytest plugin."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from plugin_files import DROPOUT, normalizer, write
from testing.broken import loss

import ffprobe
from ffprobe.errors import CheckFailed, PluginError, UsageError
from ffprobe.testing import CONTRACTS, Finding, HookRecorder, Report, Skip, check, check_plugin, expect, toy_run
from ffprobe.testing.checker import contracts
from ffprobe.testing.contract import Contract
from ffprobe.testing.contracts.observer import HooksContract
from ffprobe.testing.randomness import global_states, moved

SYMBA = "return nn.functional.softplus(n - p).mean()"
GOOD = loss(SYMBA)
LISTENER = "import ffprobe\n{}\n@ffprobe.hookimpl\ndef ffprobe_after_step(context): {}\n"


def names(report: Report) -> set[str]:
    return {finding.component for finding in report.findings}


class TestSubjects:
    def test_a_name_a_path_and_a_module_are_the_same_plugin(self) -> None:
        import ffprobe_plugins.losses.symba as module

        reports = [check_plugin(what) for what in ("symba", module, Path(module.__file__))]
        assert [report.passed for report in reports] == [True] * 3
        assert len({len(report.findings) for report in reports}) == 1
        assert reports[0].where == f"plugin 'symba' of ffprobe-nn {version('ffprobe-nn')}"

    def test_a_class_by_its_module(self) -> None:
        report = check_plugin("ffprobe_plugins.losses.symba:SymBa")
        assert report.passed
        assert names(report) == {"symba"}

    def test_a_module_that_is_not_installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path, GOOD, "lonely_loss.py")
        monkeypatch.syspath_prepend(tmp_path)
        import lonely_loss  # type: ignore[import-not-found]

        assert check_plugin(lonely_loss).passed

    def test_every_component_of_a_file(self, tmp_path: Path) -> None:
        report = check_plugin(write(tmp_path, DROPOUT))
        assert names(report) == {"drop", "counting"}
        failed = {(finding.component, finding.check) for finding in report.failures}
        assert ("drop", "training-differs-only-as-declared") in failed

    def test_settings_replace_defaults(self) -> None:
        assert check_plugin("olu", settings={"train_last": True}).passed
        with pytest.raises(UsageError, match=r"'loss\.alfa'"):
            check_plugin("symba", settings={"alfa": 1})

    def test_settings_for_a_file_with_two_components_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="offers 2 components"):
            check_plugin(write(tmp_path, DROPOUT), settings={"a": 1})

    def test_a_missing_plugin_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(PluginError, match="no plugin 'nothing'"):
            check_plugin("nothing")
        with pytest.raises(UsageError, match="no plugin file"):
            check_plugin(tmp_path / "nothing.py")

    def test_a_data_set_finds_its_files_in_the_given_folder(self, tmp_path: Path) -> None:
        from PIL import Image

        for split, seed in (("train", 0), ("test", 1)):
            for kind in ("cats", "dogs"):
                (tmp_path / split / kind).mkdir(parents=True)
                for i in range(3):
                    pixels = np.random.default_rng([seed, ord(kind[0]), i]).integers(0, 256, (6, 6), dtype=np.uint8)
                    Image.fromarray(pixels).save(tmp_path / split / kind / f"{i}.png")
        skipped = {finding.check for finding in check_plugin("images").findings if finding.status == "skipped"}
        assert "gives-samples" in skipped
        report = check_plugin("images", data_dir=tmp_path)
        assert report.passed, str(report)
        assert report.counts["skipped"] == 0


class TestReport:
    def test_it_is_json_and_text(self, tmp_path: Path) -> None:
        report = check_plugin(write(tmp_path, loss("return nn.functional.softplus(p - n).mean()")))
        document = json.loads(json.dumps(report.to_dict()))
        assert document["passed"] is False
        assert document["counts"]["failed"] == len(report.failures) == 2
        assert sum(document["counts"].values()) == len(document["findings"])
        failed = next(f for f in document["findings"] if f["check"] == "wrong-order-costs-more")
        assert failed["status"] == "failed"
        assert "a larger loss for the wrong order" in failed["expected"]
        text = str(report)
        assert "failed  loss mine: wrong-order-costs-more\n    expected  a larger loss for the wrong order\n" in text
        with pytest.raises(CheckFailed, match=r"2 of \d+ checks failed(.|\n)*gradient-points-the-right-way") as caught:
            report.raise_for_failures()
        assert caught.value.exit_code == 5

    def test_nothing_is_raised_if_no_check_failed(self) -> None:
        Report("a", "b", (Finding("a", "loss", "c", "passed", "d", "e"),)).raise_for_failures()


class Sample(Contract):
    """A contract for this test."""

    kind = "sample"

    @check("It matters.")
    def holds(self) -> None:
        """It holds."""
        expect(True, "a", "b")

    @check("It matters.")
    def breaks(self) -> None:
        """It does not hold."""
        expect(torch.rand(1) > 2, "more than two", "less")

    @check("It matters.")
    def raises(self) -> None:
        """It raises nothing."""
        random.random()
        np.random.rand()
        raise KeyError("nothing")

    @check("It matters.")
    def cannot_be_tried(self) -> None:
        """It is tried."""
        raise Skip("not here")


class TestContract:
    @pytest.fixture
    def sample(self) -> Sample:
        return Sample(contracts("symba")[0].subject)

    def test_checks_have_the_names_of_the_methods_in_order(self) -> None:
        assert Sample.checks() == ("holds", "breaks", "raises", "cannot-be-tried")

    def test_the_finding_of_each_check(self, sample: Sample) -> None:
        findings = [sample.run(name) for name in Sample.checks()]
        assert [finding.status for finding in findings] == ["passed", "failed", "failed", "skipped"]
        assert (findings[1].expected, findings[1].got) == ("more than two", "less")
        assert (findings[2].expected, findings[2].got) == ("no error: It raises nothing", "KeyError: 'nothing'")
        assert findings[3].reason == "not here"
        assert {finding.why for finding in findings} == {"It matters."}

    def test_an_unknown_check_is_refused(self, sample: Sample) -> None:
        with pytest.raises(ValueError, match="no check 'nothing'"):
            sample.run("nothing")

    def test_a_check_does_not_change_the_caller_s_generators(self, sample: Sample) -> None:
        torch.rand(1)
        before = global_states()
        for name in Sample.checks():
            sample.run(name)
        assert moved(before) == []

    @pytest.mark.parametrize("contract", [*CONTRACTS.values(), HooksContract], ids=lambda c: c.kind)
    def test_every_check_has_a_requirement_and_a_reason(self, contract: type[Contract]) -> None:
        assert len(contract.checks()) >= 2
        for name in contract.checks():
            method = getattr(contract, name.replace("-", "_"))
            assert method.__doc__.strip().endswith("."), name
            assert method.__why__.strip().endswith("."), name


class TestObservers:
    def test_an_observer_that_only_reads_passes(self, tmp_path: Path) -> None:
        report = check_plugin(write(tmp_path, LISTENER.format("", "float(context.loss.nansum())")))
        assert report.passed, str(report)
        assert report.counts == {"passed": 2, "failed": 0, "skipped": 0}

    @pytest.mark.parametrize(
        ("body", "name"),
        [
            ("return 3", "observes-without-errors"),
            ("context.run.network.layer(0).weight.data.add_(1)", "does-not-change-the-run"),
            ("random.random()", "does-not-change-the-run"),
        ],
    )
    def test_an_observer_that_changes_something_fails(self, tmp_path: Path, body: str, name: str) -> None:
        report = check_plugin(write(tmp_path, LISTENER.format("import random", body)))
        assert name in {finding.check for finding in report.failures}


class TestToyRun:
    def test_it_trains_with_the_given_plugins(self, tmp_path: Path) -> None:
        recorder = HookRecorder()
        out = tmp_path / "toy.h5"
        file = write(tmp_path, normalizer())
        toy = toy_run("symba:alpha=2", file, out=out, observers=[recorder], settings={"training": {"epochs": 1}})
        with toy.open() as run:
            assert run.complete
            assert run.config["loss"] == {"name": "symba", "alpha": 2}
            assert run.config["normalizer"]["name"] == "mine"
        assert toy.messages == ()
        assert recorder.names[0] == "ffprobe_before_run"
        assert recorder.names[-1] == "ffprobe_after_run"
        steps = recorder.contexts("ffprobe_after_step")
        assert [step.step for step in steps] == [0, 1]
        with pytest.raises(ValueError, match="no hook 'ffprobe_after_nap'"):
            recorder.contexts("ffprobe_after_nap")

    def test_it_is_the_same_every_time(self, tmp_path: Path) -> None:
        ends = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            random.seed(seed)
            before = global_states()
            ends.append(toy_run(out=tmp_path / f"{seed}.h5").experiment.network.state_dict())
            assert moved(before) == []
        assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())

    def test_a_module_is_a_plugin_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(tmp_path, normalizer(name="lonely"), "lonely_norm.py")
        monkeypatch.syspath_prepend(tmp_path)
        import lonely_norm  # type: ignore[import-not-found]

        with toy_run(lonely_norm, out=tmp_path / "run.h5").open() as run:
            assert run.config["normalizer"]["name"] == "lonely"

    def test_a_failing_plugin_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ffprobe.FfprobeError, match="'mine'"):
            toy_run(write(tmp_path, normalizer("raise OSError('no')")), out=tmp_path / "run.h5")


def test_importing_the_kit_loads_neither_torch_nor_pytest() -> None:
    code = "import sys, ffprobe.testing; print(sorted({'torch', 'pytest', 'numpy', 'h5py'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_loads() -> None:
    from ffprobe import testing

    for name in testing.__all__:
        assert getattr(testing, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        testing.nothing  # noqa: B018


AUTHORS_TESTS = """
from ffprobe.testing import contract_tests

test_good = contract_tests("{good}")
test_bad = contract_tests("{bad}")
test_gone = contract_tests("no-such-plugin")

def test_toy(toy, hook_recorder):
    run = toy("symba", observers=[hook_recorder])
    assert run.path.exists() and "ffprobe_after_epoch" in hook_recorder.names
"""


def test_an_authors_test_file(tmp_path: Path) -> None:
    good = write(tmp_path, GOOD, "good.py")
    bad = write(tmp_path, loss("return nn.functional.softplus(p - n).mean()"), "bad.py")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["ffprobe.testing.pytest_plugin"]\n')
    (tmp_path / "test_mine.py").write_text(AUTHORS_TESTS.format(good=good, bad=bad))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stdout
    assert "PASSED test_mine.py::test_good[loss-mine-wrong-order-costs-more]" in lines
    assert any(line.startswith("FAILED test_mine.py::test_bad[loss-mine-wrong-order-costs-more]") for line in lines)
    assert any(line.startswith("FAILED test_mine.py::test_gone") for line in lines)
    assert "PASSED test_mine.py::test_toy" in lines
    assert "There is no plugin 'no-such-plugin'" in done.stdout
    assert "expected  a larger loss for the wrong order" in done.stdout
    assert "contract.py" not in done.stdout  # no traceback through the kit
    assert not any(line.startswith("FAILED test_mine.py::test_good") for line in lines)
