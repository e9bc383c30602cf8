"""What must hold of JAX before anything is computed."""

import os
from importlib.metadata import version

import jax

WRONG_ON_CPU = "0.10.2"
"""Release of jaxlib whose CPU results are silently wrong (jax issue 39103)."""


def refuse_wrong_jaxlib(release: str = version("jaxlib")) -> None:
    """Refuses to work with a jaxlib whose CPU results are wrong.

    Raises:
      ImportError: `release` is that version; the message says what to install.
    """
    if release == WRONG_ON_CPU:
        raise ImportError(
            f"jaxlib {WRONG_ON_CPU} returns wrong numbers on CPU (jax issue 39103); "
            'install another with: pip install "jax!=0.10.2" "jaxlib!=0.10.2"'
        )


def use_cpu_cores(count: int | None = None) -> None:
    """Spreads sites over the cores of a machine without an accelerator: each is a device to JAX.

    Call before the first computation. The commands do so by themselves.

    Args:
      count: how many; None takes all that this process may use.

    Raises:
      RuntimeError: something has been computed already with another number.
    """
    jax.config.update("jax_num_cpu_devices", usable_cores() if count is None else count)


def usable_cores() -> int:
    """Returns how many cores this process may use, which in a container are not all there are."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
