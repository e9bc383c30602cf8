"""What must hold of JAX before anything is computed."""

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


def use_cpu_cores(count: int) -> None:
    """Lets JAX see `count` CPU devices, so that sites are spread over cores.

    Call before the first computation; a machine with an accelerator is not affected.
    """
    jax.config.update("jax_num_cpu_devices", count)
