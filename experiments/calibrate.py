"""Calibrates every site at once; the same as `kgml-jax calibrate`."""

from kgml_jax.cli.command import run
from kgml_jax.cli.commands import COMMANDS

if __name__ == "__main__":
    run(*COMMANDS["calibrate"].load())
