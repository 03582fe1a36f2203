"""What a process passes on to the next one in every step, as named tensors and back."""

from __future__ import annotations

from typing import Any

import torch

from ffprobe.training.group_learner import StepState


def named_tensors(state: StepState, stop_signal: int, starts: set[int]) -> dict[str, torch.Tensor]:
    """The tensors that later groups of this step need; ``StepState.inputs`` is already freed of all others.

    Args:
        state: of the step, after the groups of this process.
        stop_signal: number of the signal that stops the run after this step; 0 for none.
        starts: the first layers of the groups that follow.
    """
    tensors = {"stop": torch.tensor([stop_signal]), "labels": state.labels}
    if 0 in starts:
        assert state.images is not None
        tensors["images"] = state.images
        if state.input_labels is not None:
            tensors["input_labels"] = state.input_labels
    tensors |= {f"input {index}": value for index, value in state.inputs.items()}
    for layer, goodness in state.goodness.items():
        parts = goodness if isinstance(goodness, tuple) else (goodness,)
        tensors |= {f"goodness {layer} {part}": value for part, value in enumerate(parts)}
    return tensors


def step_state(tensors: dict[str, torch.Tensor], step: int, epoch: int) -> tuple[StepState, int]:
    """The state of the step and the stop signal, from the tensors that ``named_tensors`` returned."""
    inputs: dict[int, torch.Tensor] = {}
    goodness: dict[int, Any] = {}
    for name, value in tensors.items():
        kind, *numbers = name.split()
        if kind == "input":
            inputs[int(numbers[0])] = value
        elif kind == "goodness":
            layer = int(numbers[0])
            goodness[layer] = (*goodness.get(layer, ()), value)
    pairs = {layer: parts if len(parts) > 1 else parts[0] for layer, parts in goodness.items()}
    images, shown = tensors.get("images"), tensors.get("input_labels")
    return StepState(images, shown, tensors["labels"], step, epoch, inputs, pairs), int(tensors["stop"])
