"""The one error of data that cannot be used, raised wherever that is found out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class DataError(ValueError):
    """A file or data set that cannot be used: what is wrong, where, and what was expected.

    Attributes:
      file: name of the file; None if it is not of one.
      site: None if it is not of one.
      variable: None if it is not of one.
      problem: what is wrong, with what was found and expected, without the place.
      line: place and problem on one line.
      recipe: lines of a shell or of Python that make what is expected; None if there are none.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        site: str | None = None,
        variable: str | None = None,
        found: object = None,
        expected: object = None,
        recipe: str | None = None,
    ) -> None:
        self.site = site
        self.variable = variable
        self.file = None if file is None else Path(file).name
        where = [f"{label} {value}" for label, value in self._places() if value]
        detail = [
            f"{label} {value}"
            for label, value in (("found", found), ("expected", expected))
            if value is not None
        ]
        self.problem = problem + (f" ({'; '.join(detail)})" if detail else "")
        self.line = ": ".join([*([", ".join(where)] if where else []), self.problem])
        self.recipe = recipe
        super().__init__(self.line + (f"\n{recipe}" if recipe else ""))

    def _places(self) -> tuple[tuple[str, str | None], ...]:
        return ("file", self.file), ("site", self.site), ("variable", self.variable)


@contextmanager
def kept(errors: list[DataError]) -> Iterator[None]:
    """Goes on after a `DataError`, which is appended to `errors`."""
    try:
        yield
    except DataError as error:
        errors.append(error)


def raise_together(errors: Sequence[DataError]) -> None:
    """Raises errors of one site as one, so that all of them are seen at once; none if empty."""
    if len(errors) > 1:
        parts = [
            f"({number}) {error.variable}: {error.problem}"
            if error.variable
            else f"({number}) {error.problem}"
            for number, error in enumerate(errors, start=1)
        ]
        problems = f"{len(errors)} problems: {' '.join(parts)}"
        raise DataError(problems, file=errors[0].file, site=errors[0].site)
    if errors:
        raise errors[0]


def listed(items: Sequence[object], limit: int = 5) -> str:
    """Returns the first items as text, with the number of those left out."""
    text = ", ".join(str(item) for item in items[:limit])
    return text + (f" and {len(items) - limit} more" if len(items) > limit else "")
