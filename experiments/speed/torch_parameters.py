"""Converts parameters of jaxgan's networks to PyTorch's order of axes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch_networks import Network


def load_parameters(network: Network, params: dict[str, Any]) -> None:
    """Copies the parameters of jaxgan's network into the PyTorch network."""
    with torch.no_grad():
        for value, parameter in _converted(network, params):
            parameter.copy_(torch.tensor(value))


def parameter_pairs(
    network: Network, params: dict[str, Any]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each of jaxgan's parameters, converted, and the PyTorch network's."""
    for value, parameter in _converted(network, params):
        yield value, parameter.detach().numpy()


def _converted(
    network: Network, params: dict[str, Any]
) -> Iterator[tuple[np.ndarray, nn.Parameter]]:
    for name, leaves in params.items():
        layer = network.get_submodule(name)
        for leaf, value in leaves.items():
            parameter = getattr(layer, "bias" if leaf == "bias" else "weight")
            yield _as_torch(network, name, layer, leaf, np.asarray(value)), parameter


def _as_torch(network: Network, name: str, layer: Any, leaf: str, x: np.ndarray) -> np.ndarray:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and leaf == "kernel":
        # A transposed convolution is the gradient of a convolution with the reversed kernel.
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
