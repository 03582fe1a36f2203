"""Logs the metrics and weights of every epoch to TensorBoard during a run.

The files go into a folder below ``runs/``, or into the folder in the environment variable FFPROBE_TENSORBOARD. The
plugin only observes: it does not change the run.
"""

import json
import os

import ffprobe

try:
    from torch.utils.tensorboard import SummaryWriter
except ImportError as error:
    raise ffprobe.PluginError(
        "TensorBoard is not installed.", hint="Install it with: pip install tensorboard"
    ) from error

_open = []  # the writer of the current run


@ffprobe.hookimpl
def ffprobe_before_run(context):
    _close()
    _open.append(SummaryWriter(os.environ.get("FFPROBE_TENSORBOARD") or None))
    _open[0].add_text("config", f"```json\n{json.dumps(dict(context.config), indent=2)}\n```")


@ffprobe.hookimpl
def ffprobe_after_epoch(context):
    epochs = context.epoch + 1
    for name, values in context.metrics.items():  # float32 [layers]; NaN for layers without the metric
        for layer, value in enumerate(values.tolist(), 1):
            if value == value:
                _open[0].add_scalar(f"{name}/layer {layer}", value, epochs)
    for layer in range(context.run.network.depth):
        weight = context.run.network.layer(layer).weight
        if weight is not None:
            _open[0].add_histogram(f"weight/layer {layer + 1}", weight.detach(), epochs)
    _open[0].flush()


@ffprobe.hookimpl
def ffprobe_after_run(context):
    _close()


@ffprobe.hookimpl
def ffprobe_on_error(context):
    _close()


def _close():
    while _open:
        _open.pop().close()
