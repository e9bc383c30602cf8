"""Checks data before a run; the same as `kgml-jax check`."""

from kgml_jax.cli.command import run
from kgml_jax.cli.commands import COMMANDS

if __name__ == "__main__":
    run(*COMMANDS["check"].load())
