"""The base class of every component, its settings, and the two types that several kinds share.

A component is a class with a ``name``. The config of a run selects it and supplies its own settings (``Params``); it
receives nothing else from the config. Importing this package does not import torch.
"""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

Shape = tuple[int, ...]
"""The shape of one input or activation without the batch dimension, channels first: ``(channels, height, width)`` of an
image, ``(channels, time)`` of a signal, ``(features,)`` of a table."""

Form = Literal["pair", "class"]
"""``pair``: one goodness per input, ``[B]``; ``class``: one goodness per input and class, ``[B, K]``."""


class Params(BaseModel):
    """The settings of one component. Instances are frozen, unknown keys are errors, NaN and infinity are refused.

    Every field needs a description that states its unit. A field named ``code`` names a class to import, as
    ``package.module.Class``: a file that names one is refused unless the user names it too, or adds ``--trust``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class Component(ABC):  # noqa: B024  (each kind adds its own abstract methods)
    """Base class of every component.

    Attributes:
        kind: the kind of the component, and the slot that it fills in a run; set by the base class of the kind.
        name: the name that a user types, in kebab-case; unique within its kind.
        aliases: names that published code and recorded trajectories use for the same component.
        source: the paper, section or equation that the component implements.
        Params: the class of its settings, filled by ``--plugin name:key=value`` and TOML.
        params: the settings of this instance.
    """

    kind: ClassVar[str] = ""
    name: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str] = ""
    Params: ClassVar[type[BaseModel]] = Params

    def __init__(self, params: BaseModel | None = None, **settings: Any) -> None:
        """Settings come as ``params``, or by name: ``MyLoss(alpha=2)`` is ``MyLoss(MyLoss.Params(alpha=2))``.

        Raises:
            pydantic.ValidationError: there is no such setting, or its value is out of range.
        """
        self.params: Any = self.Params(**settings) if params is None else params

    def state_dict(self) -> dict[str, Any]:
        """The state that the component keeps between steps (running means, for example), saved in the checkpoint.

        Returns:
            Nested dicts and lists of tensors and plain values; empty by default. Modules returned by ``build`` are
            saved with the network and do not belong here.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027  (most components keep no state)
        """Restore the state that ``state_dict()`` returned."""
