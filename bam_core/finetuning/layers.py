"""The layers of any network, from the input on: which of them learn, and how fast."""

from typing import Any, NamedTuple

from torch import nn

from bam_core.errors import RecipeError


class Layer(NamedTuple):
    """A part of a network with parameters of its own."""

    name: str
    parameters: list[nn.Parameter]


def layers_of(encoder: nn.Module) -> list[Layer]:
    """The layers in the order in which they were made; normalisations belong to the layer before them.

    Example:
        >>> tail = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        >>> network = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), tail)
        >>> [layer.name for layer in layers_of(network)]
        ['0', '2.0', '2.1']
    """
    found: list[Layer] = []
    for layer in _parts(encoder, ""):
        if found and all(parameter.ndim < 2 for parameter in layer.parameters):
            found[-1].parameters.extend(layer.parameters)
        else:
            found.append(layer)
    return found


def _parts(module: nn.Module, name: str) -> list[Layer]:
    children = [(n, child) for n, child in module.named_children() if any(True for _ in child.parameters())]
    own = list(module.parameters(recurse=False))
    holds_layers = not name or isinstance(module, nn.Sequential | nn.ModuleList) or (len(children) == 1 and not own)
    if not children or not holds_layers:
        return [Layer(name, list(module.parameters()))] if own or children else []
    first = [Layer(name or "(itself)", own)] if own else []
    return first + [part for n, child in children for part in _parts(child, f"{name}.{n}".removeprefix("."))]


def learning(encoder: nn.Module, freeze: str) -> list[Layer]:
    """The layers that learn, after the others have been frozen.

    Args:
        encoder: its parameters are told whether they learn.
        freeze: "none", "encoder", or "until:LAYER", see `FinetuneSettings.freeze`.

    Raises:
        RecipeError: no such layer.

    Example:
        >>> network = nn.Sequential(nn.Linear(1, 2), nn.Linear(2, 2))
        >>> [layer.name for layer in learning(network, "until:1")], network[0].weight.requires_grad
        (['1'], False)
    """
    found = layers_of(encoder)
    start = 0
    if freeze == "encoder":
        start = len(found)
    elif freeze != "none":
        wanted = freeze.removeprefix("until:")
        places = [i for i, layer in enumerate(found) if layer.name == wanted or layer.name.startswith(f"{wanted}.")]
        if not places:
            raise RecipeError(
                f"freeze={freeze} expected a layer of the encoder; its layers are "
                f"{', '.join(layer.name for layer in found)}."
            )
        start = places[0]
    for layer in found[:start]:
        for parameter in layer.parameters:
            parameter.requires_grad_(False)
    return [
        Layer(layer.name, [parameter for parameter in layer.parameters if parameter.requires_grad])
        for layer in found[start:]
        if any(parameter.requires_grad for parameter in layer.parameters)
    ]


def parameter_groups(layers: list[Layer], *, rate: float, decay: float, weight_decay: float) -> list[dict[str, Any]]:
    """Groups for AdamW: the last layer at `rate`, each before it by `decay` more slowly; vectors do not decay."""
    groups = []
    for distance, layer in enumerate(reversed(layers)):
        for matrices in (True, False):
            chosen = [parameter for parameter in layer.parameters if (parameter.ndim >= 2) == matrices]
            if chosen:
                lr = rate * decay**distance
                groups.append({"params": chosen, "lr": lr, "weight_decay": weight_decay if matrices else 0.0})
    return groups
