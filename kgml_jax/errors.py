"""The one error of data that cannot be used, raised wherever that is found out."""

from collections.abc import Sequence
from pathlib import Path


class DataError(ValueError):
    """A file or data set that cannot be used: what is wrong, where, and what was expected."""

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        site: str | None = None,
        variable: str | None = None,
        found: object = None,
        expected: object = None,
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
        super().__init__(
            ": ".join([*([", ".join(where)] if where else []), problem])
            + (f" ({'; '.join(detail)})" if detail else "")
        )

    def _places(self) -> tuple[tuple[str, str | None], ...]:
        return ("file", self.file), ("site", self.site), ("variable", self.variable)


def listed(items: Sequence[object], limit: int = 5) -> str:
    """Returns the first items as text, with the number of those left out."""
    text = ", ".join(str(item) for item in items[:limit])
    return text + (f" and {len(items) - limit} more" if len(items) > limit else "")
