"""Parameters of jaxgan's networks, in PyTorch's order of axes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch_networks import Network


def load_parameters(network: Network, params: dict[str, Any]) -> None:
    """Takes over the parameters of jaxgan's network."""
    for name, leaves in params.items():
        layer = network.get_submodule(name)
        for leaf, value in leaves.items():
            value = np.asarray(value)
            at = "bias" if leaf == "bias" else "weight"
            tensor = torch.tensor(_as_torch(network, name, layer, leaf, value))
            with torch.no_grad():
                getattr(layer, at).copy_(tensor)


def parameters_like(network: Network, params: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """For each of jaxgan's parameters its name, its value laid out as here, and this network's."""
    for name, leaves in params.items():
        layer = network.get_submodule(name)
        for leaf, value in leaves.items():
            here = getattr(layer, "bias" if leaf == "bias" else "weight")
            value = _as_torch(network, name, layer, leaf, np.asarray(value))
            yield f"{name}/{leaf}", value, here.detach().numpy()


def _as_torch(network: Network, name: str, layer: Any, leaf: str, x: np.ndarray) -> np.ndarray:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and leaf == "kernel":
        # A transposed convolution is the gradient of one with the kernel turned round.
        if network.mirrored != isinstance(layer, nn.ConvTranspose2d):
            x = x[::-1, ::-1]
        order = (2, 3, 0, 1) if isinstance(layer, nn.ConvTranspose2d) else (3, 2, 0, 1)
        return np.ascontiguousarray(x.transpose(order))
    if name in network.maps:
        x = _map_order(x, network.maps[name], network.mirrored)
    if name in network.reads and leaf == "kernel":
        x = _map_order(x.T, network.reads[name], network.mirrored).T
    return np.ascontiguousarray(x.T if leaf == "kernel" else x)


def _map_order(x: np.ndarray, shape: tuple[int, int, int], mirrored: bool) -> np.ndarray:
    """The last axis from [H, W, C] order to [C, H, W]."""
    c, h, w = shape
    as_map = x.reshape(*x.shape[:-1], h, w, c)
    if mirrored:
        as_map = as_map[..., ::-1, ::-1, :]
    return np.moveaxis(as_map, -1, -3).reshape(x.shape)
