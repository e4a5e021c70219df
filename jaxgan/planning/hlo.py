"""What a compiled program moves, read off its HLO text: bytes of memory and collectives."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.-]+) (?:\(.*\) -> .*)?\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.-]+ = (?P<shape>.*?) (?P<operation>[a-z][a-z-]*)\(")
_CALLED = re.compile(
    r"(?:body|branch_computations|true_computation|false_computation)=(\{.*?\}|%?[\w.-]+)"
)
_GROUPS = re.compile(r"(?:replica_groups|source_target_pairs)=(.*)")
_ARRAY = re.compile(r"\b(pred|[subf]\w*?(\d+)\w*)\[([\d,]*)\](?:\{([^}]*)\})?")
_COLLECTIVE = re.compile(
    r"(all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute|collective-broadcast)"
    r"(?:-start)?$"
)
# These name or regroup results of other instructions, or begin or end a computation.
_MOVES_NOTHING = re.compile(
    r"parameter|constant|tuple|get-tuple-element|bitcast|while|conditional|call|after-all|.*-done"
)
_ARRAYS = re.compile(
    r"fusion|convolution|dot|copy|reduce.*|all-.*|collective-.*|custom-call|gather|scatter|sort"
)


class Collective(NamedTuple):
    """Collectives of one kind over the same axes.

    Attributes:
      kind: such as "all-reduce".
      axes: the mesh axes along which they communicate.
      number: how many there are.
      bytes: size of their results, bytes.
      per: "step", or "call" for those outside of the loop over a call's steps.
    """

    kind: str
    axes: tuple[str, ...]
    number: int
    bytes: int
    per: str


class _Instruction(NamedTuple):
    operation: str
    shape: str
    text: str


class Program:
    """The instructions of a compiled program, of its loop over steps and of the rest.

    Args:
      text: `compiled.as_text()`.
      loops: whether a call loops over several steps. (XLA makes loops of other things too, such as
        random numbers on the CPU.)
    """

    def __init__(self, text: str, loops: bool) -> None:
        computations, entry = _computations(text)
        self._step, self._around = list(_reached(computations, [entry])), []
        if loops:
            bodies = [_called(one) for one in computations[entry] if one.operation == "while"]
            # The loop over steps is the largest.
            self._step = max(
                (list(_reached(computations, one)) for one in bodies), key=len, default=[]
            )
            self._around = list(_reached(computations, [entry], into_loops=False))
        # The instructions of a step that write a result.
        self._results = [x for x in self._step if not _MOVES_NOTHING.fullmatch(x.operation)]

    def bytes_per_step(self) -> int:
        """Bytes of device memory that a step moves, if each result is written and read once.

        XLA's own count takes all of an array for read where some rows are gathered from it. Results
        in a TPU's on-chip memory (S(1) in their layout) are left out.
        """
        return 2 * sum(_bytes(one.shape, on_chip=False) for one in self._results)

    def kernels_per_step(self) -> int:
        """How many times a step starts work on arrays. Single numbers are left out: a processor of
        their own computes them beside it."""
        return sum(_ARRAYS.fullmatch(one.operation) is not None for one in self._results)

    def collectives(self, mesh_shape: dict[str, int]) -> list[Collective]:
        """The collectives, one entry for each kind, axes and place.

        Args:
          mesh_shape: size of each mesh axis, in the order of the devices.
        """
        found: dict[tuple[str, tuple[str, ...], str], list[int]] = {}
        devices = math.prod(mesh_shape.values())
        for per, instructions in (("step", self._step), ("call", self._around)):
            for one in instructions:
                kind, groups = _COLLECTIVE.match(one.operation), _GROUPS.search(one.text)
                if kind and groups:
                    axes = _axes(_groups(groups[1], devices), mesh_shape)
                    found.setdefault((kind[1], axes, per), []).append(
                        _bytes(one.shape, results_only=_has_operands(one))
                    )
        return [
            Collective(kind, axes, len(sizes), sum(sizes), per)
            for (kind, axes, per), sizes in sorted(found.items())
        ]


def _computations(text: str) -> tuple[dict[str, list[_Instruction]], str]:
    """The instructions of each computation by its name, and the name of the entry."""
    found: dict[str, list[_Instruction]] = {}
    name = entry = ""
    for line in text.splitlines():
        begins, instruction = _COMPUTATION.match(line), _INSTRUCTION.match(line)
        if begins:
            name = begins[2]
            entry = name if begins[1] else entry
            found[name] = []
        elif instruction and name:
            found[name].append(_Instruction(instruction["operation"], instruction["shape"], line))
    return found, entry


def _called(instruction: _Instruction) -> list[str]:
    names = [re.findall(r"[\w.-]+", part) for part in _CALLED.findall(instruction.text)]
    if instruction.operation == "call":
        names += [re.findall(r"to_apply=%?([\w.-]+)", instruction.text)]
    return [name for part in names for name in part]


def _reached(
    computations: dict[str, list[_Instruction]], names: list[str], into_loops: bool = True
) -> Iterator[_Instruction]:
    """The instructions of these computations and of those that they call, but not the inner ones
    of fusions, whose results stay on the chip."""
    for name in names:
        for one in computations.get(name, ()):
            yield one
            if into_loops or one.operation != "while":
                yield from _reached(computations, _called(one))


def _has_operands(one: _Instruction) -> bool:
    """Whether a collective's tuple names its operands before its results."""
    return one.operation.endswith("-start") and one.operation != "all-reduce-start"


def _bytes(shape: str, on_chip: bool = True, results_only: bool = False) -> int:
    """Bytes of an array or a tuple of arrays, as HLO writes them.

    Args:
      shape: such as "(f32[2,3]{1,0}, s32[])".
      on_chip: whether arrays in a TPU's on-chip memory count.
      results_only: whether the first half of a tuple is left out, an operation's operands.
    """
    arrays, total = _ARRAY.findall(shape), 0
    if results_only:  # Numbers in such a tuple are XLA's own.
        arrays = [array for array in arrays if array[2]]
    for name, bits, dimensions, layout in arrays[len(arrays) // 2 if results_only else 0 :]:
        if on_chip or "S(1)" not in layout:
            width = 8 if name == "pred" else int(bits)
            total += width * math.prod(int(n) for n in dimensions.split(",") if n) // 8
    return total


def _groups(text: str, devices: int) -> np.ndarray:
    """The groups of devices that communicate, [groups, members], from one of HLO's notations:
    {{0,1},{2,3}}; [2,2]<=[4]; [2,2]<=[2,2]T(1,0); mesh['a'=2,'b'=2] {'a'}."""
    listed = re.match(r"\{(\{[\d,{} ]*\})\}", text)
    if listed:
        groups = [part.split(",") for part in re.findall(r"\{([\d, ]+)\}", listed[1])]
        return np.array([[int(n) for n in group] for group in groups])
    iota = re.match(r"\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", text)
    if iota:
        shape, base, order = (
            [int(n) for n in part.split(",")] if part else None for part in iota.groups()
        )
        return np.arange(devices).reshape(base).transpose(order).reshape(shape)
    axes = re.match(r"mesh\[(.*?)\]\s*\{(.*?)\}", text)
    if axes:
        sizes = {name: int(size) for name, size in re.findall(r"'(\w+)'=(\d+)", axes[1])}
        chosen = re.findall(r"'(\w+)'", axes[2])
        order = [name for name in sizes if name not in chosen] + chosen
        numbers = np.arange(devices).reshape(list(sizes.values()))
        numbers = numbers.transpose([list(sizes).index(name) for name in order])
        return numbers.reshape(-1, math.prod(sizes[name] for name in chosen))
    return np.arange(devices)[None]  # An empty list means one group of all.


def _axes(groups: np.ndarray, mesh_shape: dict[str, int]) -> tuple[str, ...]:
    """The axes along which the members of a group differ."""
    coordinates = np.unravel_index(groups, tuple(mesh_shape.values()))
    return tuple(
        name
        for name, along in zip(mesh_shape, coordinates, strict=True)
        if (along != along[:, :1]).any()
    )
