"""A network that a program hands in, as a component of a run."""

from __future__ import annotations

import copy
import hashlib
import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import nn
from torch.nn.parameter import is_lazy

from ffprobe.components.base import Params, Shape
from ffprobe.components.network import LayerSpec, Network
from ffprobe.errors import UsageError
from ffprobe.given.cut import layer_modules
from ffprobe.given.plugins import plugin_words
from ffprobe.plugin.given import give, source_of

EXPECTED = (
    "Give a nn.Sequential, a list of modules, a module class, a function of (shape, classes), or an ffprobe.Network."
)


class GivenParams(Params):
    """What a run file records of a network that was handed in. It describes the network, and cannot rebuild it."""

    text: str = Field("", description="the modules as torch prints them, or the name of the class or function")
    source: str = Field("", description="source text of the class or function; empty for modules")
    sha256: str = Field("", description="hash of the state that modules had; of the source text without modules")


class GivenNetwork(Network):
    """The base class of networks that were handed in; each has its own name, with a hash of its text and source.

    Attributes:
        make: returns the modules of the layers for an input shape and a number of classes.
    """

    Params = GivenParams
    make: ClassVar[Callable[[Shape, int], Sequence[nn.Module]]]

    def layers(self, shape: Shape, classes: int) -> list[LayerSpec]:
        """One layer for each module; its activation is what the module returns."""
        modules = type(self).make(shape, classes)
        return [LayerSpec("module", factory=_factory(index, module)) for index, module in enumerate(modules)]


def network_word(network: Any) -> str:
    """The word for a network that a program handed in.

    A module keeps its own weights, also with another seed: it is copied. A class is called without arguments, and a
    function with the shape of the first layer's input and the number of classes; both draw their weights from the
    run's seed.

    Args:
        network: a ``nn.Sequential`` or another module, a list of modules, a class of modules, a function that returns
            one of these, or a ``Network`` class or instance.

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(network, str):
        return network
    if isinstance(network, Network) or (inspect.isclass(network) and issubclass(network, Network)):
        return plugin_words([network])[0]
    if isinstance(network, nn.Module) or (isinstance(network, Sequence) and not callable(network)):
        modules = layer_modules(network)
        text, source = "\n".join(map(repr, modules)), ""
        name = type(network).__name__ if isinstance(network, nn.Module) else "modules"

        make = _copier(modules)
        state: dict[str, Any] = {f"{i}.{k}": v for i, m in enumerate(modules) for k, v in m.state_dict().items()}
    elif callable(network):
        name, source, state = getattr(network, "__name__", type(network).__name__), source_of(network), {}
        text = name
        make = _maker(network)
    else:
        raise UsageError(f"network is {network!r}.", hint=EXPECTED)
    digest, named = _digest(text, source, state), _digest(text, source, {})
    class_name = re.sub(r"\W+", "-", name).strip("-").lower() or "network"
    params = {"text": text, "source": source, "sha256": digest}
    made = type("Given", (GivenNetwork,), {"name": f"{class_name}-{named[:8]}", "make": staticmethod(make)})
    return give(made, params)


def _copier(modules: Sequence[nn.Module]) -> Callable[[Shape, int], Sequence[nn.Module]]:
    return lambda shape, classes: [copy.deepcopy(module) for module in modules]


def _maker(network: Callable[..., Any]) -> Callable[[Shape, int], Sequence[nn.Module]]:
    def make(shape: Shape, classes: int) -> Sequence[nn.Module]:
        is_class = inspect.isclass(network) and issubclass(network, nn.Module)
        made = network() if is_class else network(shape, classes)
        if not isinstance(made, nn.Module | list | tuple):
            raise UsageError(f"The function for the network returned {type(made).__name__}.", hint=EXPECTED)
        return layer_modules(made)

    return make


def _factory(index: int, module: nn.Module) -> Callable[[Shape], nn.Module]:
    def factory(shape: Shape) -> nn.Module:
        mode = module.training
        try:
            with torch.no_grad():
                out = module.eval()(torch.zeros(2, *shape))  # lazy modules get their parameters here
        except Exception as error:  # whatever a user's module raises
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            label = "The encoder may add the label to it. " if index == 0 else ""
            raise UsageError(
                f"Layer {index + 1} of the network that you handed in does not accept an input of shape {list(shape)}: "
                f"{reason}.",
                hint=f"{label}Build the layer for this shape, or use lazy modules (nn.LazyLinear) or a function of "
                "(shape, classes)" + (", or a method without labels in the input." if index == 0 else "."),
            ) from error
        if not isinstance(out, torch.Tensor) or out.dim() < 2 or len(out) != 2:
            raise UsageError(
                f"Layer {index + 1} of the network that you handed in does not return one tensor [B, ...]."
            )
        return module.train(mode)

    return factory


def _digest(text: str, source: str, state: dict[str, Any]) -> str:
    digest = hashlib.sha256(f"{text}\0{source}".encode())
    for name, value in sorted(state.items()):
        digest.update(name.encode())
        if isinstance(value, torch.Tensor) and not is_lazy(value):
            digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes() if value.dim() else b"")
            digest.update(repr(value.item()).encode() if not value.dim() else b"")
    return digest.hexdigest()
