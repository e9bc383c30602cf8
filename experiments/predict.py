"""Predicts fields with a finished run; the same as `kgml-jax predict`."""

from kgml_jax.cli.command import run
from kgml_jax.cli.commands import COMMANDS

if __name__ == "__main__":
    run(*COMMANDS["predict"].load())
