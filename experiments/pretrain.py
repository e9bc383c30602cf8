"""Pretrains one global model on all sites; the same as `kgml-jax pretrain`."""

from kgml_jax.cli.command import run
from kgml_jax.cli.commands import COMMANDS

if __name__ == "__main__":
    run(*COMMANDS["pretrain"].load())
