"""What a door says of input it refuses."""

import pytest

from kgml_jax.errors import DataError


def refused(read, path, *words, **options):
    """Asserts that `read` refuses `path` in a message that holds all `words`."""
    with pytest.raises(DataError) as caught:
        read(path, **options)
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{missing} not in: {caught.value}"
