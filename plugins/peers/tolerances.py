"""The tolerances of the recordings of local convolutional methods, sign feedback and auxiliary networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ffprobe


def tolerances(meta: Mapping[str, Any], wide: bool) -> dict[str, Any]:
    """The keywords ``tolerance``, ``tolerances`` and ``ignored`` of a ``ReplayPlan``.

    Args:
        meta: of the trajectory; ``noise_parameters`` are biases in front of batch normalization.
        wide: whether the recording is float64.
    """
    noise = meta.get("noise_parameters") or []
    exact = dict.fromkeys(("updated", "eval/prediction", "winners"), 0.0)
    named = {"first_grad": 1e-12, "eval": 1e-7} if wide else {"first_grad": 2e-5, "step1": 2e-4, "eval": 1e-3}
    if noise:
        # running statistics follow the wandering bias with a delay, also in the original
        named.update(dict.fromkeys(("eval/logits", "eval/ensemble", "eval/goodness"), 0.1))
    ignored = {}
    for first in ("final", "step1", "first_grad"):
        for name in noise:
            ignored[f"{first}/{name}"] = "a bias before batch normalization has no gradient; Adam amplifies its noise"
            behind = f"{first}/{name.split('.')[0]}.normalizer.running_mean"
            ignored[behind] = "it follows the bias before it, which is rounding noise"
    flat = ffprobe.Tolerance(1e-9, 0.0, 1e-8) if wide else ffprobe.Tolerance(5e-5, 0.0, 2e-4)
    return {"tolerance": flat, "tolerances": {**named, **exact}, "ignored": ignored}
