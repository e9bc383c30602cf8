"""Networks as pairs of pure functions over a plain nested dict of weights."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
from flax import nnx


@dataclass(frozen=True)
class Network:
    """A network builder as a value: equal and hashable by its module and arguments.

    The module is taken apart once; afterwards only `jax.jit`, `vmap`, `grad` and `scan` meet it.

    Args:
      module: called with `arguments` and `rngs`; all its variables must be `nnx.Param`.
      arguments: keyword arguments as sorted pairs; `Network.of` makes them.
    """

    module: Callable[..., nnx.Module]
    arguments: tuple[tuple[str, Hashable], ...] = ()

    @classmethod
    def of(cls, module: Callable[..., nnx.Module], **arguments: Hashable) -> "Network":
        """Returns the network `module(**arguments, rngs=...)`."""
        return cls(module, tuple(sorted(arguments.items())))

    def init(self, key: jax.Array) -> dict[str, Any]:
        """Draws fresh weights: nested dicts of arrays with string keys all the way down.

        Members of a list attribute are named `layer_0`, `layer_1`, ...
        """
        state = nnx.state(self._build(key))
        return _named(nnx.to_pure_dict(state))

    def apply(
        self, weights: Mapping[str, Any], *inputs: Any, method: str = "__call__", **options: Any
    ) -> Any:
        """Runs the network with `weights` as returned by `init`; pure in all its arguments.

        Call it inside `jax.jit`: outside, recurrent layers are compiled anew at every call.

        Args:
          weights: those of `init`; others beside them are left alone.
          inputs: of the module's method.
          method: name of the method to call.
          options: keyword arguments of it.
        """
        graphdef, template = _anatomy(self)
        module = nnx.merge(graphdef, _shaped_like(template, weights))
        return getattr(module, method)(*inputs, **options)

    def _build(self, key: jax.Array) -> nnx.Module:
        return self.module(**dict(self.arguments), rngs=nnx.Rngs(key))


@lru_cache(maxsize=64)
def _anatomy(network: Network) -> tuple[nnx.GraphDef, dict]:
    """Returns the module's static part and the keys of its weights, without computing any."""
    abstract = nnx.eval_shape(lambda: network._build(jax.random.key(0)))
    graphdef, weights, others = nnx.split(abstract, nnx.Param, ...)
    if nnx.to_pure_dict(others):
        raise TypeError(
            f"{network.module} keeps {sorted(nnx.to_pure_dict(others))} besides nnx.Param; "
            "pass random keys and running statistics as arguments"
        )
    return graphdef, nnx.to_pure_dict(weights)


def _name(key: str | int) -> str:
    return f"layer_{key}" if isinstance(key, int) else key


def _named(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    return {_name(key): _named(branch) for key, branch in tree.items()}


def _shaped_like(template: Any, weights: Any) -> Any:
    if not isinstance(template, dict):
        return weights
    return {key: _shaped_like(branch, weights[_name(key)]) for key, branch in template.items()}
