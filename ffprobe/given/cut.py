"""Cuts a module into the modules of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import fx, nn
from torch.nn.modules import activation

from ffprobe.errors import UsageError


class Cut(nn.Module):
    """A border between two layers of a ``nn.Sequential``; it returns its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The input."""
        return x


def cut(model: nn.Module | None = None, after: Sequence[str] = ()) -> nn.Module | list[nn.Module]:
    """A marker, or the layers of a model.

    ``cut()`` is a marker: ``nn.Sequential(nn.Linear(20, 64), nn.ReLU(), ffprobe.cut(), ...)`` begins a new layer
    there. A sequence with markers is cut at its markers only.

    ``cut(model, after=["relu", "layer1", "layer2"])`` is a list of modules, the layers of a model whose ``forward`` is
    more than a sequence, such as those of torchvision: layer 1 ends with the submodule ``relu``, layer 2 with
    ``layer1`` and so on; whatever follows the last name is the last layer. torch.fx traces the model.

    Args:
        model: the model; its parameters are shared, not copied.
        after: names of submodules, in the order in which they run.

    Raises:
        UsageError: a name is no submodule or does not run in this order, or the model needs more than one value at a
            border (a connection that skips it).
    """
    if model is None:
        return Cut()
    if not isinstance(model, nn.Module) or isinstance(after, str) or not after:
        raise UsageError(
            "cut needs a module and the names of the submodules that end its layers.",
            hint='For example ffprobe.cut(model, after=["relu", "layer1", "layer2"]); cut() is a marker.',
        )
    known = dict(model.named_modules())
    for name in after:
        if name not in known or not name:
            raise UsageError(f"The model has no submodule {name!r}.", hint=f"It has {', '.join(list(known)[1:9])} ...")
    return list(_parts(model, tuple(after)))


def layer_modules(network: nn.Module | Sequence[nn.Module]) -> list[nn.Module]:
    """The modules of the layers of a network that a program handed in.

    A list has one layer for each module. A ``nn.Sequential`` (nested ones count as one) is cut at its markers, or, if
    it has none, after each activation function. A part without parameters belongs to the layer before it, or to the
    first layer. Any other module is one layer.

    Raises:
        UsageError: there is no module, or one of a list is none.
    """
    if isinstance(network, nn.Sequential):
        modules = list(_flat(network))
        marked = any(isinstance(module, Cut) for module in modules)
        layers = _layers(modules, marked)
    elif isinstance(network, nn.Module):
        layers = [[network]]
    else:
        layers = [[module] for module in network]
    if not layers or not all(isinstance(module, nn.Module) for layer in layers for module in layer):
        raise UsageError("The network has no layers, or one of them is no torch module.")
    return [layer[0] if len(layer) == 1 else nn.Sequential(*layer) for layer in layers]


def _flat(network: nn.Sequential) -> Iterator[nn.Module]:
    for module in network:
        yield from _flat(module) if isinstance(module, nn.Sequential) else (module,)


def _layers(modules: Sequence[nn.Module], marked: bool) -> list[list[nn.Module]]:
    layers: list[list[nn.Module]] = [[]]
    for module in modules:
        if not isinstance(module, Cut):
            layers[-1].append(module)
        if isinstance(module, Cut) if marked else type(module).__module__ == activation.__name__:
            layers.append([])
    joined: list[list[nn.Module]] = []
    for layer in layers:
        learns = any(True for module in layer for _ in module.parameters())
        if joined and not (learns and any(True for module in joined[-1] for _ in module.parameters())):
            joined[-1] += layer
        elif layer:
            joined.append(layer)
    return joined


class _Tracer(fx.Tracer):
    """Does not look into the submodules that end a layer."""

    def __init__(self, ends: Sequence[str]) -> None:
        super().__init__()
        self._ends = set(ends)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name in self._ends or super().is_leaf_module(m, module_qualified_name)


def _parts(model: nn.Module, after: Sequence[str]) -> Iterator[nn.Module]:
    try:
        graph = _Tracer(after).trace(model)
    except Exception as error:  # torch.fx raises many classes for code that depends on values
        raise UsageError(
            f"The model cannot be cut: torch.fx cannot trace it ({error}).", hint="Hand in a list of modules instead."
        ) from error
    calls = {str(node.target): node for node in graph.nodes if node.op == "call_module" and node.target in after}
    missing = [name for name in after if name not in calls]
    if missing:
        raise UsageError(f"The submodule {missing[0]!r} does not run by itself in the model, or not at all.")
    nodes = list(graph.nodes)
    border = next(node for node in nodes if node.op == "placeholder")
    result = next(node for node in nodes if node.op == "output").args[0]
    for end in [*(calls[name] for name in after), result]:
        if end is border:
            continue
        yield _between(model, border, end)
        border = end


def _between(model: nn.Module, border: fx.Node, end: fx.Node) -> nn.Module:
    """The part of a model that computes ``end`` from ``border`` alone."""
    needed: set[fx.Node] = set()
    open_nodes = [end]
    while open_nodes:
        node = open_nodes.pop()
        if node is border or node in needed:
            continue
        if node.op == "placeholder":
            raise UsageError(
                f"The model cannot be cut between {border.target} and {end.target}: what follows needs more than one "
                "value there, or the names are not in the order in which they run.",
                hint="Cut where a single value passes, such as after a residual block.",
            )
        needed.add(node)
        open_nodes += node.all_input_nodes
    part = fx.Graph()
    copies = {border: part.placeholder("x")}
    for node in border.graph.nodes:
        if node in needed:
            copies[node] = part.node_copy(node, lambda original: copies[original])
    part.output(copies[end])
    return fx.GraphModule(model, part)
