"""Tests the claims of FTBSC-KGML; run as `python experiments/ftbsc.py --help`."""

from studies.ftbsc.program import FtbscConfig, main

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, FtbscConfig)
