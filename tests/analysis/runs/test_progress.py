"""What an analysis reports reaches whoever shows it, with the name of the run before it."""

from __future__ import annotations

from ffprobe.analysis.probing.threads import run_in_threads
from ffprobe.analysis.runs.progress import progress_of, progress_shown_by, report_progress


def test_it_is_shown_with_names_before_it() -> None:
    shown: list[str] = []
    with progress_of("nobody looks"):
        report_progress("a")
    with progress_shown_by(shown.append):
        report_progress("b")
        with progress_of("run.h5"):
            report_progress("c")
            assert run_in_threads([lambda: 1, lambda: 2], "fit") == [1, 2]
        report_progress("d")
    report_progress("e")
    assert shown == ["b", "run.h5: c", "run.h5: fit 1 of 2", "run.h5: fit 2 of 2", "d"]
