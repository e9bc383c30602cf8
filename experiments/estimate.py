"""Estimates process parameters at every site; the same as `kgml-jax estimate`."""

from kgml_jax.cli.command import run
from kgml_jax.cli.commands import COMMANDS

if __name__ == "__main__":
    run(*COMMANDS["estimate"].load())
