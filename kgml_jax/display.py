"""How results show themselves: a few lines in a console, a table in a notebook."""

import sys
from collections.abc import Mapping
from html import escape


def text(title: str, facts: Mapping[str, object]) -> str:
    """Returns a title and one line a fact."""
    width = max((len(name) for name in facts), default=0)
    lines = [f"  {name:<{width}}  {value}" for name, value in facts.items()]
    return "\n".join([title, *lines])


def html(title: str, facts: Mapping[str, object]) -> str:
    """Returns a title and one row a fact as HTML, with nothing in it taken for markup."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table><caption>{escape(title)}</caption>{rows}</table>"


def counted(number: int, noun: str) -> str:
    """Returns a number and what is counted, whose plural ends in s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Shown:
    """Gives what has a `title` and `facts` a `repr` that a person can read, also in a notebook."""

    def _title(self) -> str:
        raise NotImplementedError

    def _facts(self) -> Mapping[str, object]:
        raise NotImplementedError

    def __repr__(self) -> str:
        return text(self._title(), self._facts())

    def _repr_html_(self) -> str:
        return html(self._title(), self._facts())


def in_notebook() -> bool:
    """Returns whether a notebook shows what is displayed."""
    shell = sys.modules.get("IPython")
    active = None if shell is None else shell.get_ipython()
    return active is not None and "IPKernelApp" in active.config
