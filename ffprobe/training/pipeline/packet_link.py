"""Sends and receives the packets of steps; the layout of a packet travels once, its values in every step."""

from __future__ import annotations

import json
from collections.abc import Hashable

import torch

from ffprobe.distributed.tensor_bytes import TensorLayout, dense, messages, rebuilt
from ffprobe.distributed.transfers import Incoming, Transfers
from ffprobe.errors import FfprobeError

PARTS = 64
"""Largest number of messages of one packet; with the step, it makes the tag."""

STEPS = 1 << 16
"""Tags repeat after this many steps, far more than are ever in flight."""


class PacketLink:
    """The packets that one process sends to another, in the order of the steps.

    Args:
        transfers: of this process.
        peer: rank of the other process.
        device: where received tensors are put.
    """

    def __init__(self, transfers: Transfers, peer: int, device: torch.device) -> None:
        self.transfers, self.peer, self.device = transfers, peer, device
        self._layouts: dict[Hashable, list[TensorLayout]] = {}
        self._announced: dict[int, list[Incoming]] = {}

    def send(self, tensors: dict[str, torch.Tensor], key: Hashable, step: int) -> None:
        """Send the packet of a step.

        Args:
            tensors: by name.
            key: packets with equal keys have equal layouts.
            step: number of the step.
        """
        pairs = [dense(name, value) for name, value in tensors.items()]
        layouts = [layout for layout, _ in pairs]
        what, tag = f"batch of step {step}", _tag(step)
        if key not in self._layouts:
            self._layouts[key] = layouts
            header = json.dumps([_plain(layout) for layout in layouts]).encode()
            size = torch.tensor([len(header)]).view(torch.uint8)
            self.transfers.send(size, self.peer, tag, what)
            self.transfers.send(torch.frombuffer(bytearray(header), dtype=torch.uint8), self.peer, tag + 1, what)
        elif layouts != self._layouts[key]:
            raise FfprobeError(
                "An activation changed its shape, dtype or memory format between two batches of one size.",
                where=f"step {step}",
                hint="Train in one process: ffprobe run without torchrun.",
            )
        for part, indices in enumerate(messages(layouts), 2):
            # a joined message is a new tensor; a tensor with its own message is sent from its own memory
            data = pairs[indices[0]][1] if len(indices) == 1 else torch.cat([pairs[i][1] for i in indices])
            self.transfers.send(data, self.peer, tag + part, what)

    def announce(self, key: Hashable, step: int) -> None:
        """Let the packet of a later step arrive in the background; needs a packet of the same key before."""
        if key in self._layouts and step not in self._announced:
            self._announced[step] = self._expect(self._layouts[key], _tag(step))

    def receive(self, key: Hashable, step: int) -> dict[str, torch.Tensor]:
        """The packet of a step, by name."""
        what, tag = f"batch of step {step}", _tag(step)
        if key not in self._layouts:
            size = self.transfers.receive(self.transfers.expect(8, self.peer, tag), what)
            count = int(size.view(torch.int64))
            header = self.transfers.receive(self.transfers.expect(count, self.peer, tag + 1), what)
            self._layouts[key] = [_layout(*entry) for entry in json.loads(header.numpy().tobytes())]
        layouts = self._layouts[key]
        tensors: dict[str, torch.Tensor] = {}
        expected = self._announced.pop(step) if step in self._announced else self._expect(layouts, tag)
        for incoming, indices in zip(expected, messages(layouts), strict=True):
            data, at = self.transfers.receive(incoming, what), 0
            for index in indices:
                layout = layouts[index]
                tensors[layout.name] = rebuilt(layout, data[at : at + layout.bytes]).to(self.device)
                at += layout.bytes
        return {layout.name: tensors[layout.name] for layout in layouts}

    def send_nothing(self, key: Hashable, step: int) -> None:
        """Send zeros for a step that will not take place, if its packet was announced to the other process."""
        for part, indices in enumerate(messages(self._layouts.get(key, [])), 2):
            data = torch.zeros(sum(self._layouts[key][index].bytes for index in indices), dtype=torch.uint8)
            self.transfers.send(data, self.peer, _tag(step) + part, "the end of the run")

    def discard(self) -> None:
        """Receive and drop what was announced: the run stops."""
        for expected in self._announced.values():
            for incoming in expected:
                self.transfers.receive(incoming, "the end of the run")
        self._announced.clear()

    def _expect(self, layouts: list[TensorLayout], tag: int) -> list[Incoming]:
        counts = [sum(layouts[index].bytes for index in indices) for indices in messages(layouts)]
        return [self.transfers.expect(count, self.peer, tag + part) for part, count in enumerate(counts, 2)]


def _tag(step: int) -> int:
    return (step % STEPS) * PARTS


def _plain(layout: TensorLayout) -> tuple[str, str, tuple[int, ...], tuple[int, ...]]:
    return layout.name, str(layout.dtype).removeprefix("torch."), layout.shape, layout.stride


def _layout(name: str, dtype: str, shape: tuple[int, ...], stride: tuple[int, ...]) -> TensorLayout:
    return TensorLayout(name, getattr(torch, dtype), tuple(shape), tuple(stride))
