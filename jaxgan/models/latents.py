"""A generator's input: noise, structured codes, and a condition.

A categorical code is one-hot, [B, K]; a continuous code is a column, [B, 1].
"""

import dataclasses
import math
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.common.errors import UserError
from jaxgan.common.rng import stream

# Limit on a categorical code's values: a sample sheet has a row for each.
MAX_CODE_VALUES = 1_000
# The ends of the uniform priors of noise.
UNIFORM = {"uniform": (-1, 1), "unit_uniform": (-(3**0.5), 3**0.5), "hypercube": (0, 1)}


class Latent(NamedTuple):
    """A generator's input.

    Attributes:
      noise: [B, N].
      codes: one array per code, [B, K] one-hot (categorical) or [B, 1] (continuous).
      condition: [B, ...], or None for an unconditional network.
    """

    noise: jax.Array
    codes: tuple[jax.Array, ...] = ()
    condition: Any = None


def joined(latent: Latent) -> jax.Array:
    """Noise, codes and condition, flattened and concatenated: [B, N]."""
    parts = jax.tree.leaves(latent)
    return jnp.concatenate([part.reshape(part.shape[0], -1) for part in parts], axis=-1)


@dataclasses.dataclass(frozen=True)
class Code:
    """The prior of one code: `kind` is "categorical" (uniform over `values` values), "uniform" (on
    (-1, 1)) or "gaussian" (standard normal)."""

    kind: str
    values: int = 1

    @property
    def categorical(self) -> bool:
        return self.kind == "categorical"

    @property
    def entropy(self) -> float:
        """Entropy in nats: log K, log 2, or log(2 pi e) / 2 (differential for the last two)."""
        if self.categorical:
            return math.log(self.values)
        return math.log(2) if self.kind == "uniform" else math.log(2 * math.pi * math.e) / 2

    def sample(self, key: jax.Array, n: int, dtype: Any = jnp.float32) -> jax.Array:
        """n independent draws, [n, values] one-hot or [n, 1]."""
        if self.categorical:
            drawn = jax.random.randint(key, (n,), 0, self.values)
            return jax.nn.one_hot(drawn, self.values, dtype=dtype)
        if self.kind == "uniform":
            return jax.random.uniform(key, (n, 1), dtype, -1, 1)
        return jax.random.normal(key, (n, 1), dtype)

    def fixed(self, value: float, n: int, dtype: Any = jnp.float32) -> jax.Array:
        """n copies of a value, which is a category's index or a number: [n, values] or [n, 1]."""
        if self.categorical:
            return jnp.tile(jax.nn.one_hot(int(value), self.values, dtype=dtype), (n, 1))
        return jnp.full((n, 1), value, dtype)


def parse_codes(text: str) -> tuple[Code, ...]:
    """Parses "categorical:10+uniform:2", a categorical code of 10 values and two uniform codes.

    The number after the colon is the number of values of a categorical code (at least 2), or the
    number of continuous codes (1 if omitted); at most 1,000. "" means no code.

    Raises:
      UserError: if the text has another form.
    """
    codes: list[Code] = []
    for part in filter(None, text.split("+")):
        kind, _, number = part.strip().partition(":")
        count = int(number) if re.fullmatch("[0-9]{1,9}", number) else (1 if not number else 0)
        if count > MAX_CODE_VALUES:
            raise UserError(f"latent.codes: '{part}' is more than {MAX_CODE_VALUES:,}", "use fewer")
        if kind == "categorical" and count >= 2:
            codes.append(Code(kind, count))
        elif kind in ("uniform", "gaussian") and count >= 1:
            codes += [Code(kind)] * count
        else:
            raise UserError(
                f"latent.codes: '{part}' is not a code",
                "write categorical:K (K at least 2), uniform or gaussian, joined by +,"
                " such as categorical:10+uniform:2",
            )
    return tuple(codes)


@dataclasses.dataclass(frozen=True)
class LatentSpec:
    """The prior of noise and codes: `noise` numbers from `noise_prior`, and `codes`.

    The prior is "normal", or uniform: "uniform" on (-1, 1), "unit_uniform" on ±√3, with variance 1,
    or "hypercube" on (0, 1).
    """

    noise: int
    noise_prior: str = "normal"
    codes: tuple[Code, ...] = ()
    dtype: Any = jnp.float32

    def sample(self, key: jax.Array, n: int, condition: Any = None) -> Latent:
        """n independent draws; the noise and each code have their own PRNG streams."""
        noise_key = stream(key, "noise")
        if self.noise_prior == "normal":
            noise = jax.random.normal(noise_key, (n, self.noise), self.dtype)
        else:
            low, high = UNIFORM[self.noise_prior]
            noise = jax.random.uniform(noise_key, (n, self.noise), self.dtype, low, high)
        codes = tuple(
            code.sample(stream(key, "code", i), n, self.dtype) for i, code in enumerate(self.codes)
        )
        return Latent(noise, codes, condition)

    def traversal(
        self, key: jax.Array, index: int, columns: int = 10, limit: float = 2.0
    ) -> tuple[Latent, int]:
        """The latents of the sample sheet that varies code `index`.

        Categorical code: one row per value; the columns are draws of the noise and other codes.
        Continuous code: the columns are values from -limit to limit (beyond the training range
        (-1, 1), as in Chen et al. 2016, figure 2); one row per value of the first categorical code,
        or ten random rows without one. Noise and all other codes are constant along a row.

        Returns:
          A latent with rows * columns examples, row by row, and `columns`.
        """
        if self.codes[index].categorical:
            rows = self.codes[index].values
            drawn = self.sample(key, columns)
            tiled: Latent = jax.tree.map(lambda x: jnp.tile(x, (rows, 1)), drawn)
            varied = jnp.repeat(jnp.eye(rows, dtype=self.dtype), columns, axis=0)
        else:
            first = next((i for i, code in enumerate(self.codes) if code.categorical), None)
            rows = 10 if first is None else self.codes[first].values
            drawn = self.sample(key, rows)
            if first is not None:
                every_value = jnp.eye(rows, dtype=self.dtype)
                codes = drawn.codes[:first] + (every_value,) + drawn.codes[first + 1 :]
                # With the same noise in all rows, only the category differs between them.
                drawn = Latent(jnp.tile(drawn.noise[:1], (rows, 1)), codes)
            tiled = jax.tree.map(lambda x: jnp.repeat(x, columns, axis=0), drawn)
            values = jnp.linspace(-limit, limit, columns, dtype=self.dtype)
            varied = jnp.tile(values, rows)[:, None]
        codes = tiled.codes[:index] + (varied,) + tiled.codes[index + 1 :]
        return Latent(tiled.noise, codes), columns
