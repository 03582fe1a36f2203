"""Builds the command line from one module per command."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from ffprobe.cli import (
    analyze,
    audit,
    bench,
    compare,
    cost,
    doctor,
    export,
    ls,
    plugins,
    predict,
    presets,
    repair,
    replay,
    report,
    run,
    show,
    sweep,
    version,
    view,
)
from ffprobe.cli.option_groups import grouped

log = logging.getLogger("ffprobe")

HELP = """Train, analyze and compare networks that learn without a global backward pass.

This is ffprobe of ffprobe-nn. FFmpeg has a program of the same name; `ff-probe` and `python -m ffprobe` always start
this one."""


def build_app(words: Sequence[str] = ()) -> typer.Typer:
    """The ``typer.Typer`` with all commands, including those of plugins.

    Args:
        words: the arguments of the program; parts of the help text that they do not need are not built.
    """
    app = typer.Typer(
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},  # inherited by every command
    )

    @app.callback()
    def options(
        show_version: Annotated[
            bool, typer.Option("--version", help="Print versions and exit.", callback=version.show, is_eager=True)
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", hidden=True)] = False,  # for --version
    ) -> None:
        pass

    def command(name: str, function: Callable[..., None], summary: str, **how: Any) -> None:
        app.command(name, short_help=summary, **how)(function)

    command("run", run.run, "Train a network from plugins and record the run.", cls=grouped(run.SECTIONS))
    command("presets", presets.presets, "List the presets: methods of the field, and their numbers.")
    command("sweep", sweep.sweep, "Train all runs of a grid or of a search.")
    command("ls", ls.ls, "List runs: state, plugins, accuracy, age and size.")
    command("show", show.show, "Show one run: settings, progress, results and contents.")
    questions = analyze.names() if "analyze" in words else None
    command("analyze", analyze.analyze, "Answer a question from recorded runs.", epilog=questions)
    command("compare", compare.compare, "Compare sets of plugins over seeds.")
    command("cost", cost.cost, "Compare what runs cost at equal accuracy and equal time.")
    command("report", report.report, "Write all analyses of some runs on one page.")
    command("audit", audit.audit, "Answer a reviewer's questions about some runs on one page.")
    command("view", view.view, "Show runs in a browser, live while they train.")
    command("predict", predict.predict, "Predict images with the network of a run.")
    command("export", export.export, "Export the network of a run for other programs.")
    app.add_typer(plugins.app, name="plugins")
    command("replay", replay.replay, "Check a method against recorded trajectories.")
    command("repair", repair.repair, "Make the file of a killed run readable for all programs.")
    app.add_typer(bench.app, name="bench")
    command("doctor", doctor.doctor, "Check the installation, the device and the disk.")
    _add_plugin_commands(app)
    return app


def _add_plugin_commands(app: typer.Typer) -> None:
    # imports only plugins whose source contains the hook, so that --help stays fast and no other plugin can break it
    from ffprobe.plugin.discovery import build_manager, installed, register

    for plugin in installed():
        if "ffprobe_commands" not in plugin.source_text:
            continue
        try:
            manager = build_manager()
            register(manager, plugin.load(), plugin.name, plugin.where)
            manager.hook.ffprobe_commands(app=app)
        except (Exception, SystemExit) as error:
            log.warning("The commands of %s are not available: %s", plugin.where, error)
