"""What is read off the text of compiled programs, some written by hand and some by XLA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgan.planning import hlo

BY_HAND = """\
HloModule by_hand

%fused (p: f32[4,8]) -> f32[4,8] {
  %p = f32[4,8]{1,0} parameter(0)
  ROOT %huge = f32[4,8]{1,0} add(%p, %p)
}

%chosen (p.1: f32[4,8]) -> f32[4,8] {
  %p.1 = f32[4,8]{1,0} parameter(0)
  ROOT %inner = f32[4,8]{1,0} all-reduce(%p.1), channel_id=3, replica_groups={{0,2},{1,3}}, to_apply=%sum
}

%body (state: (s32[], f32[4,8])) -> (s32[], f32[4,8]) {
  %state = (s32[], f32[4,8]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%state), index=0
  %x = f32[4,8]{1,0} get-tuple-element(%state), index=1
  %y = f32[4,8]{1,0} fusion(%x), kind=kLoop, calls=%fused
  %near = bf16[4,8]{1,0:T(8,128)S(1)} fusion(%x), kind=kLoop, calls=%fused
  %z = (f32[4,8]{1,0}, f32[2]{0}) all-reduce(%y, %i), channel_id=1, replica_groups=[2,2]<=[4]
  %w = f32[4,8]{1,0} conditional(%i, %y, %y), branch_computations={%chosen, %chosen}
  ROOT %next = (s32[], f32[4,8]{1,0}) tuple(%i, %w)
}

%condition (state.1: (s32[], f32[4,8])) -> pred[] {
  %state.1 = (s32[], f32[4,8]{1,0}) parameter(0)
  ROOT %less = pred[] constant(true)
}

ENTRY %main (a: f32[4,8]) -> f32[8,8] {
  %a = f32[4,8]{1,0} parameter(0)
  %t = (s32[], f32[4,8]{1,0}) tuple(%a)
  %loop = (s32[], f32[4,8]{1,0}) while(%t), condition=%condition, body=%body
  %out = f32[4,8]{1,0} get-tuple-element(%loop), index=1
  ROOT %all = f32[8,8]{1,0} all-gather(%out), channel_id=2, replica_groups=mesh['a'=2,'b'=2] {'a'}, dimensions={0}
}
"""  # noqa: E501
MESH = {"seed": 2, "data": 2}


def test_collectives_of_a_step_and_of_a_call():
    assert hlo.Program(BY_HAND, loops=True).collectives(MESH) == [
        hlo.Collective("all-gather", ("seed",), 1, 256, "call"),
        hlo.Collective("all-reduce", ("data",), 1, 136, "step"),
        hlo.Collective("all-reduce", ("seed",), 2, 256, "step"),
    ]


def test_memory_that_a_step_moves():
    """The fusion, the all-reduce and both branches, not what stays on the chip."""
    program = hlo.Program(BY_HAND, loops=True)
    assert program.bytes_per_step() == 2 * (128 + 136 + 2 * 128)
    assert program.kernels_per_step() == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{0,1},{2,3}}, use", [[0, 1], [2, 3]]),
        ("[2,2]<=[4], use", [[0, 1], [2, 3]]),
        ("[2,2]<=[2,2]T(1,0), use", [[0, 2], [1, 3]]),
        ("[1,4]<=[4]", [[0, 1, 2, 3]]),
        ("mesh['a'=2,'b'=2] {'b'}, d", [[0, 1], [2, 3]]),
        ("mesh['a'=2,'b'=2] {'a','b'}", [[0, 1, 2, 3]]),
        ("{}, use", [[0, 1, 2, 3]]),
    ],
)
def test_every_notation_of_groups(text, expected):
    np.testing.assert_array_equal(hlo._groups(text, 4), expected)


@pytest.mark.parametrize(("axis", "steps"), [("seed", 1), ("data", 1), ("data", 3)])
def test_collective_axes_are_read_from_compiled_programs(axis, steps):
    """Along which axis a mean is taken, in a loop and without."""
    mesh = Mesh(np.array(jax.devices()[:4]).reshape(2, 2), tuple(MESH))

    def step(x):
        mean = jax.shard_map(
            lambda x: jax.lax.pmean(x, axis),
            mesh=mesh,
            in_specs=PartitionSpec("seed", "data"),
            out_specs=PartitionSpec("seed", "data"),
        )
        return mean(jnp.sin(x))

    def several(x, count):
        return jax.lax.fori_loop(0, count, lambda _, x: step(x), x) if steps > 1 else step(x)

    x = jax.device_put(np.ones((4, 6), np.float32), NamedSharding(mesh, PartitionSpec(*MESH)))
    text = jax.jit(several).lower(x, np.int32(steps)).compile().as_text()
    program = hlo.Program(text, loops=steps > 1)
    assert program.collectives(MESH) == [
        hlo.Collective("all-reduce", (axis,), 1, 2 * 3 * 4, "step")
    ]
    # The sine, its mean, and at most a few copies and numbers of the loop.
    assert 2 * 2 * 24 <= program.bytes_per_step() <= 2 * 6 * 24 + 100


def test_a_step_with_a_loop_of_its_own_is_not_the_loop_over_steps():
    def step(x):
        return jax.lax.fori_loop(0, 3, lambda _, x: jnp.sin(x @ x), x) + 1

    text = jax.jit(step).lower(np.ones((8, 8), np.float32)).compile().as_text()
    inner = hlo.Program(text, loops=True).bytes_per_step()
    assert hlo.Program(text, loops=False).bytes_per_step() >= inner + 2 * 4 * 64


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("(f32[4]{0}, f32[8]{0}) all-gather-start(%x)", 32),
        ("((f32[4], s32[2]), (f32[8], s32[4])) all-gather-start(%x, %y)", 48),
        ("f32[4]{0} all-reduce-start(%x)", 16),
        ("(f32[4]{0}, f32[8]{0}) all-reduce(%x, %y)", 48),
        ("(bf16[4]{0}, bf16[4]{0}, u32[], u32[]) collective-permute-start(%x)", 8),
    ],
)
def test_counts_the_results_of_a_collective(line, expected):
    text = f"ENTRY %main (a: f32[4]) -> f32[4] {{\n  %x = {line}, replica_groups={{}}\n}}"
    (found,) = hlo.Program(text, loops=False).collectives({"data": 2})
    assert found.bytes == expected
