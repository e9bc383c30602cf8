"""Functions as compiled programs, which tests call again and again with arrays of one shape."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest


@contextmanager
def generated_once(module: Any) -> Iterator[None]:
    """Lets whoever asks a module's `generate` for the same synthetic world find it made already."""
    made = functools.cache(module.generate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "generate", lambda *asked: made(*asked).copy(deep=True))
        yield


def stacked(trees: list) -> object:
    """One tree with a leading axis from many trees of the same structure."""
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *trees)


def compiled(function: Callable) -> Callable:
    """The function as one program that returns NumPy arrays, so that what a test makes of them is
    not compiled too, operation by operation.
    """
    program = jax.jit(function)
    return functools.wraps(function)(lambda *arguments: jax.device_get(program(*arguments)))


class Compiled:
    """The functions of a module, each `compiled`."""

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name: str) -> Callable:
        return compiled(getattr(self._module, name))


def assert_vmap_equals_loop(function, arguments: list[tuple]) -> None:
    """Checks that `function` mapped over `arguments` gives what calling it one by one gives."""
    one = jax.jit(function)
    looped = stacked([one(*some) for some in arguments])
    mapped = jax.jit(jax.vmap(function))(*stacked(arguments))
    for expected, found in zip(jax.tree.leaves(looped), jax.tree.leaves(mapped), strict=True):
        # The compiler may order sums differently: a few units in the last place, float64.
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
