"""Report a run to MLflow."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from ffprobe_plugins.trackers.tracker import Tracker, TrackerParams, tags_of
from pydantic import Field

import ffprobe

LONGEST = {"param": 6000, "tag": 5000}
"""Characters that MLflow keeps of a parameter and of a tag."""
AT_ONCE = 100
"""Parameters that MLflow takes in one call."""
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""MLflow's own defaults would hold training up for minutes when a server is gone."""
STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class Mlflow(Tracker, ffprobe.Observer):
    """Reports the config, loss, goodness and accuracies of every epoch, and the results, to MLflow.

    Without a server the run is kept in the SQLite file ``mlflow.db``, which `mlflow ui` shows; MLflow takes some
    seconds to create it. A resumed run continues the same run of MLflow. Install it with ``pip install
    'ffprobe-nn[mlflow]'``.
    """

    name = "mlflow"
    source = "MLflow (https://mlflow.org)"
    extra = "mlflow"
    libraries = ("mlflow", "sqlalchemy", "alembic")

    class Params(TrackerParams):
        """Where the run appears; the project is the experiment of MLflow."""

        mode: Literal["auto", "online", "offline"] = Field(
            "auto",
            description="online: use the server or store in MLFLOW_TRACKING_URI; offline: use the file mlflow.db in "
            "the directory; auto: online if MLFLOW_TRACKING_URI is set, else offline",
        )

    def prepare(self) -> None:
        """Import MLflow; with ``mode=online``, require an address.

        Raises:
            PluginError: MLflow is not installed.
            UsageError: no address is configured.
        """
        super().prepare()
        if self.params.mode == "online" and not os.environ.get("MLFLOW_TRACKING_URI"):
            raise ffprobe.UsageError(
                "MLFLOW_TRACKING_URI is not set, which mlflow:mode=online needs.",
                hint="Set it to the address of the server, or use --plugin mlflow:mode=offline.",
            )

    def open(self, context: ffprobe.RunContext, run: str) -> str:
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        for name in ("mlflow", "alembic"):  # they describe every step of creating the file
            logging.getLogger(name).setLevel(logging.WARNING)
        with warnings.catch_warnings():  # of MLflow's own use of SQLAlchemy
            warnings.simplefilter("ignore")
            return self._open(context, run)

    def _open(self, context: ffprobe.RunContext, run: str) -> str:
        self._client: Any = self.library.MlflowClient(self._uri())
        if run:
            self._client.update_run(run, status="RUNNING")
            return run
        known = self._client.get_experiment_by_name(self.params.project)
        experiment = known.experiment_id if known else self._client.create_experiment(self.params.project)
        tags = {f"ffprobe.{name}": value[: LONGEST["tag"]] for name, value in tags_of(context).items()}
        group = {"group": self.params.group} if self.params.group else {}
        made = self._client.create_run(experiment, run_name=self.name_of(context), tags={**tags, **group})
        params = [
            self.library.entities.Param(key, str(value)[: LONGEST["param"]]) for key, value in _flat(context.config)
        ]
        for start in range(0, len(params), AT_ONCE):
            self._client.log_batch(made.info.run_id, params=params[start : start + AT_ONCE])
        return str(made.info.run_id)

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        now, metric = int(time.time() * 1000), self.library.entities.Metric
        self._client.log_batch(self._run, metrics=[metric(name, value, now, epoch) for name, value in values.items()])

    def close(self, status: str) -> str:
        self._client.set_terminated(self._run, STATUS[status])
        return f"the run {self._run} is in {self._uri()}."

    def _uri(self) -> str:
        address = "" if self.params.mode == "offline" else os.environ.get("MLFLOW_TRACKING_URI", "")
        return address or f"sqlite:///{self.directory.resolve()}/mlflow.db"


def _flat(table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The settings by dotted key; an empty one is left out."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        elif value not in ("", None, [], {}):
            yield f"{path}{key}", value


@ffprobe.hookimpl
def ffprobe_components() -> list[type]:
    return [Mlflow]
