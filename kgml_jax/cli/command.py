"""What every program shares: a config becomes a command line, an error one line and status 2."""

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

import jax
import tyro

from kgml_jax.backend import usable_cores, use_cpu_cores
from kgml_jax.runs.interruption import INTERRUPTION, Interrupted
from kgml_jax.training.joint import DivergedError

Config = TypeVar("Config")

USERS = (
    *(ValueError, OSError, KeyError, ImportError, DivergedError),
    *(MemoryError, jax.errors.JaxRuntimeError),
)
"""Errors that a user can put right, or that the machine's limits cause."""

FLAT = tyro.conf.arg(name="")
"""Marks a nested config whose options carry no prefix."""


def run(
    main: Callable[[Config], int | None],
    config_type: type[Config],
    arguments: Sequence[str] | None = None,
    program: str | None = None,
) -> NoReturn:
    """Parses the command line into a config, calls `main`, and exits with its status.

    A process that is asked to end (Ctrl-C, SIGTERM, SIGHUP) keeps what it has, says how to go on,
    and exits with 128 and the number of the signal. What a user can put right (a wrong file, name
    or value) is one message on stderr and status 2; with `debug` set it is the traceback.

    Args:
      main: returns the exit status; None is 0.
      config_type: a dataclass; its fields are the options, their docstrings the help.
      arguments: by default those of the process.
      program: name for the help; by default that of the process.
    """
    config = tyro.cli(config_type, args=arguments, prog=program)
    use_cpu_cores(usable_cores())
    with INTERRUPTION.listening(complain):
        try:
            status = main(config)
        except Interrupted as interrupted:
            complain(INTERRUPTION.farewell(interrupted.number))
            status = interrupted.status
        except USERS as error:
            if getattr(config, "debug", False):
                raise
            complain(f"error: {message(error)}")
            status = 2
    sys.exit(status or 0)


def complain(line: str) -> None:
    """Prints a line to stderr at once: it may be the last."""
    print(line, file=sys.stderr, flush=True)


def message(error: Exception) -> str:
    """Returns what an error says; a KeyError would quote it."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    return str(error) or type(error).__name__
