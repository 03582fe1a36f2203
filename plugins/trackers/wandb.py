"""Report a run to Weights & Biases."""

from __future__ import annotations

import logging
import netrc
import os
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from ffprobe_plugins.trackers.tracker import Tracker, TrackerParams, tags_of
from pydantic import Field

import ffprobe

log = logging.getLogger("ffprobe")
PATIENCE = 30.0
"""Seconds in which the server must have answered when a run begins."""
LONGEST_TAG = 64


class Wandb(Tracker, ffprobe.Observer):
    """Reports the config, loss, goodness and accuracies of every epoch, and the results, to Weights & Biases.

    Without an account on this machine, or if the server does not answer, the run is kept in the directory ``wandb``,
    and ``wandb sync`` uploads it later. Nothing is asked during a run. A resumed run continues the same run: offline it
    writes a second directory with the same id. The environment variables of wandb (``WANDB_MODE``, ``WANDB_BASE_URL``,
    ``WANDB_ENTITY`` ...) apply. Install it with ``pip install 'ffprobe-nn[wandb]'``.
    """

    name = "wandb"
    source = "Weights & Biases (https://wandb.ai)"
    extra = "wandb"
    libraries = ("wandb",)

    class Params(TrackerParams):
        """Where the run appears, and whether it is uploaded."""

        mode: Literal["auto", "online", "offline"] = Field(
            "auto",
            description="online: upload during the run; offline: keep the run on this machine; auto: WANDB_MODE if it "
            "is set, else online if an account is configured (wandb login) and offline if not",
        )

    def prepare(self) -> None:
        """Import wandb; with ``mode=online``, require an account.

        Raises:
            PluginError: wandb is not installed.
            UsageError: no account is configured.
        """
        super().prepare()
        if self.params.mode == "online" and not self._has_account():
            raise ffprobe.UsageError(
                "Weights & Biases has no account on this machine, which wandb:mode=online needs.",
                hint="Run `wandb login` or set WANDB_API_KEY, or use --plugin wandb:mode=offline.",
            )

    def open(self, context: ffprobe.RunContext, run: str) -> str:
        if (mode := self._mode()) == "online":
            try:
                return self._init(context, run, mode)
            except self.library.errors.Error as error:
                if self.params.mode == "online":
                    raise
                reason = str(error).partition("\n")[0]
                log.warning("wandb: the server cannot be used, so the run is kept on this machine: %s", reason)
                mode = "offline"
        return self._init(context, run, mode)

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        self._wandb.log(dict(values), step=epoch)

    def close(self, status: str) -> str:
        run = self._wandb
        run.finish(exit_code=0 if status == "finished" else 1)
        if run.disabled:
            return "nothing is kept, because WANDB_MODE is disabled."
        if run.settings.mode == "online":
            return f"the run is at {run.url}."
        return f"the run is in {run.settings.sync_dir}; `wandb sync` uploads it."

    def _init(self, context: ffprobe.RunContext, run: str, mode: str) -> str:
        tags = tags_of(context)
        words = [tags.get("dataset", ""), tags.get("preset", ""), *tags.get("plugins", "").split(", ")]
        self._wandb: Any = self.library.init(
            project=self.params.project,
            group=self.params.group or None,
            name=self.name_of(context),
            dir=str(self.directory.resolve()),
            mode=mode,
            id=run or None,
            resume="allow",
            config={**context.config, "run_file": context.path},
            tags=list(dict.fromkeys(word[:LONGEST_TAG] for word in words if word)),
            settings=self.library.Settings(silent=True, console="off", init_timeout=PATIENCE),
        )
        return str(self._wandb.id)

    def _mode(self) -> str:
        if self.params.mode != "auto":
            return str(self.params.mode)
        chosen = os.environ.get("WANDB_MODE", "")
        if chosen in ("offline", "disabled"):
            return chosen
        return "online" if self._has_account() else "offline"

    def _has_account(self) -> bool:
        # wandb.login finds it as well, but asks the server, and prints
        if os.environ.get("WANDB_API_KEY"):
            return True
        hosts = {urlsplit(self.library.setup().settings.base_url).netloc, "api.wandb.ai"}
        try:
            return bool(hosts & set(netrc.netrc(os.environ.get("NETRC") or None).hosts))
        except (OSError, netrc.NetrcParseError):
            return False


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Wandb]
