"""Builds the command line from one module per command."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated

import typer

from ffprobe.cli import analyze, compare, doctor, plugins, predict, repair, replay, report, run, show, sweep, version

log = logging.getLogger("ffprobe")

HELP = """Train, analyze and compare networks that learn without a global backward pass.

This is ffprobe of ffprobe-nn. FFmpeg has a program of the same name; `ff-probe` and `python -m ffprobe` always start
this one."""


def build_app(words: Sequence[str] = ()) -> typer.Typer:
    """The ``typer.Typer`` with all commands, including those of plugins.

    Args:
        words: the arguments of the program; parts of the help text that they do not need are not built.
    """
    app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.callback()
    def options(
        show_version: Annotated[
            bool, typer.Option("--version", help="Print versions and exit.", callback=version.show, is_eager=True)
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", hidden=True)] = False,  # for --version
    ) -> None:
        pass

    app.command("run")(run.run)
    app.command("sweep")(sweep.sweep)
    app.command("analyze", epilog=analyze.names() if "analyze" in words else None)(analyze.analyze)
    app.command("compare")(compare.compare)
    app.command("predict")(predict.predict)
    app.command("report")(report.report)
    app.command("show")(show.show)
    app.command("repair")(repair.repair)
    app.command("replay")(replay.replay)
    app.add_typer(plugins.app, name="plugins")
    app.command("doctor")(doctor.doctor)
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
