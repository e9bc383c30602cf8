"""Predicts and scores with a finished run; the same as `kgml-jax evaluate`."""

from kgml_jax.cli.command import run
from kgml_jax.cli.commands import COMMANDS

if __name__ == "__main__":
    run(*COMMANDS["evaluate"].load())
