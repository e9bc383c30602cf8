"""Simulates fields day by day; the same as `kgml-jax simulate`."""

from kgml_jax.cli.command import run
from kgml_jax.cli.commands import COMMANDS

if __name__ == "__main__":
    run(*COMMANDS["simulate"].load())
