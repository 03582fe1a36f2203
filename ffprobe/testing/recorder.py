"""An observer that writes down every hook it is told of."""

from __future__ import annotations

from typing import Any

from ffprobe.hookspecs import OBSERVERS, hookimpl


class HookRecorder:
    """Give one to ``toy_run(..., observers=[recorder])``, then look at what it heard.

    Attributes:
        calls: (hook, context) in the order in which they came; the contexts are those of the run, so tensors in them
            may have gone on since.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    @property
    def names(self) -> list[str]:
        """The hooks, in order."""
        return [name for name, _ in self.calls]

    def contexts(self, hook: str) -> list[Any]:
        """The contexts of one hook, in order.

        Raises:
            ValueError: there is no such hook.
        """
        if hook not in OBSERVERS:
            raise ValueError(f"no hook {hook!r}; there are {', '.join(OBSERVERS)}")
        return [context for name, context in self.calls if name == hook]


def _listener(name: str) -> Any:
    def hear(self: HookRecorder, context: Any) -> None:
        self.calls.append((name, context))

    hear.__name__ = name
    hear.__doc__ = "Write the call down."
    return hookimpl(hear)


for _hook in OBSERVERS:
    setattr(HookRecorder, _hook, _listener(_hook))
