"""Do hybrids generalise? Run as `python experiments/generalise.py --help`."""

from studies.generalise.program import GeneraliseConfig, main

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, GeneraliseConfig)
