"""What every kind of component has in common.

A component is a class with a ``name``. It is chosen by a run's config, gets its own settings (``Params``) and nothing
else from the config. Importing this package loads no torch.
"""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

Shape = tuple[int, ...]
"""The shape of one input without the batch: ``(channels, height, width)`` or ``(features,)``."""

Form = Literal["pair", "class"]
"""``pair``: one goodness per input, ``[B]``; ``class``: one goodness per input and class, ``[B, K]``."""


class Params(BaseModel):
    """The settings of one component: frozen, unknown keys refused, every field described with its unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class Component(ABC):  # noqa: B024  (each kind adds its own abstract methods)
    """What every kind of component has in common.

    Attributes:
        kind: the slot that the component fills, set by the kind's base class.
        name: what a user types; kebab-case, unique in its kind.
        aliases: names that published code and recorded trajectories use for the same thing.
        source: paper, section or equation that the component follows.
        Params: the settings that ``--plugin name:key=value`` and TOML fill.
        params: the settings of this instance.
    """

    kind: ClassVar[str] = ""
    name: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str] = ""
    Params: ClassVar[type[BaseModel]] = Params

    def __init__(self, params: BaseModel | None = None) -> None:
        self.params: Any = self.Params() if params is None else params

    def state_dict(self) -> dict[str, Any]:
        """What the component keeps from step to step (running means ...), for the checkpoint: nested dicts and lists
        of tensors and plain values. Modules that ``build`` returned are kept with the network.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027  (most components keep nothing)
        """Go on from ``state_dict()``'s answer."""
