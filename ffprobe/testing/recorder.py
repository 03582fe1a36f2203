"""An observer that records every hook call."""

from __future__ import annotations

from typing import Any

from ffprobe.hookspecs import OBSERVERS, hookimpl


class HookRecorder:
    """Pass one to ``toy_run(..., observers=[recorder])``, then read the recorded calls.

    Attributes:
        calls: (hook, context) in the order of the calls; contexts are not copied, so tensors in them may have changed
            since.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    @property
    def names(self) -> list[str]:
        """The names of the hooks, in order."""
        return [name for name, _ in self.calls]

    def contexts(self, hook: str) -> list[Any]:
        """The contexts of one hook, in order.

        Raises:
            ValueError: there is no such hook.
        """
        if hook not in OBSERVERS:
            raise ValueError(f"no hook {hook!r}; the hooks are {', '.join(OBSERVERS)}")
        return [context for name, context in self.calls if name == hook]


def _recording_hook(name: str) -> Any:
    def record(self: HookRecorder, context: Any) -> None:
        self.calls.append((name, context))

    record.__name__ = name
    record.__doc__ = "Record the call."
    return hookimpl(record)


for _hook in OBSERVERS:
    setattr(HookRecorder, _hook, _recording_hook(_hook))
