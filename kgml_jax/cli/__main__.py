"""The command `kgml-jax`; also `python -m kgml_jax.cli`."""

import sys
from importlib.metadata import version

from kgml_jax.cli.command import run
from kgml_jax.cli.commands import COMMANDS


def usage() -> str:
    """Returns what the command can do."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.doc}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: kgml-jax COMMAND [OPTIONS]",
            "",
            "Knowledge-guided models of agroecosystem carbon, calibrated at every site at once.",
            "",
            *lines,
            "",
            "kgml-jax COMMAND --help lists the options of a command; --version prints the version.",
        ]
    )


def main(arguments: list[str] | None = None) -> None:
    """Runs the command that the arguments name; exits with its status."""
    given = sys.argv[1:] if arguments is None else arguments
    name, rest = (given[0], given[1:]) if given else ("--help", [])
    if name in ("--help", "-h"):
        print(usage())
        sys.exit(0 if given else 2)
    if name == "--version":
        print(version("kgml_jax"))
        sys.exit(0)
    if name not in COMMANDS:
        print(f"error: no command {name!r}\n\n{usage()}", file=sys.stderr)
        sys.exit(2)
    run(*COMMANDS[name].load(), arguments=rest, program=f"kgml-jax {name}")


if __name__ == "__main__":
    main()
