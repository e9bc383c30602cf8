"""Trains KGML-ag-Carbon in its five steps; run as `python experiments/kgml_ag.py --help`."""

from studies.kgml_ag.program import KgmlAgConfig, main

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, KgmlAgConfig)
