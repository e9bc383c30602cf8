"""netCDF files: read from memory, whole, and only from themselves.

HDF5, which netCDF-4 is, can take values from other files: by external storage, external links and
virtual data sets. Such files are refused, because a file from somewhere else could thereby show
what lies on this machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from math import ceil, prod
from pathlib import Path

import xarray as xr

from kgml_jax.data.opening import Absent, require_size
from kgml_jax.errors import DataError

_CLASSIC, _HDF5 = b"CDF", b"\x89HDF\r\n\x1a\n"


@contextmanager
def opened(path: Path) -> Iterator[tuple[xr.Dataset, dict[str, Absent], int]]:
    """Opens a file without decoding anything of it.

    Yields:
      The variables as stored, not yet in memory; parts that were never written, by variable; and
      the bytes of the file.

    Raises:
      DataError: not a regular file, not netCDF, too large, or it takes values from other files.
    """
    if not path.is_file():
        raise DataError("is no regular file", file=path, expected="a netCDF file")
    size = path.stat().st_size
    require_size(path, size, size)
    # From memory: a damaged file would otherwise stay open in the backend that failed on it.
    data = path.read_bytes()
    absent = {}
    if data.startswith(_HDF5):
        absent = _examined(data, path)
    elif not data.startswith(_CLASSIC):
        found = "an empty file" if not data else f"a file that begins with {data[:8]!r}"
        expected = "a file that begins with 'CDF' or '\\x89HDF'"
        raise DataError("is not netCDF", file=path, found=found, expected=expected)
    engine = "h5netcdf" if data.startswith(_HDF5) else "scipy"
    with xr.open_dataset(BytesIO(data), engine=engine, decode_cf=False) as dataset:
        yield dataset, absent, size


def _examined(data: bytes, path: Path) -> dict[str, Absent]:
    import h5py

    absent, outside = {}, []
    with h5py.File(BytesIO(data), "r") as file:
        links: dict[str, object] = {}
        # An error must not leave the walk: h5py loses it.
        file.visititems_links(links.__setitem__)
        for name, link in links.items():
            if isinstance(link, h5py.ExternalLink):
                outside.append(f"{name} is a link to {link.filename}")
                continue
            found = file[name] if isinstance(link, h5py.HardLink) else None
            if not isinstance(found, h5py.Dataset):
                continue
            require_size(path, len(data), (found.size or 0) * found.dtype.itemsize)
            if found.external or found.is_virtual:
                kind = "lies in other files" if found.external else "is put together of other files"
                outside.append(f"{name} {kind}")
            elif parts := _unwritten(found):
                absent[name] = Absent((parts,), found.fillvalue)
    if outside:
        raise DataError(
            "takes values from other files, which is not read",
            file=path,
            found=outside[0],
            expected="a file that holds its own values",
        )
    return absent


def _unwritten(dataset) -> str | None:
    """Says which share of the blocks of an HDF5 data set is not in the file; None if all are."""
    if not dataset.size:
        return None
    if dataset.chunks is None:
        return None if dataset.id.get_storage_size() else "all of it"
    pairs = zip(dataset.shape, dataset.chunks, strict=True)
    expected = prod(ceil(length / step) for length, step in pairs)
    lacking = expected - dataset.id.get_num_chunks()
    return f"{lacking} of {expected} chunks" if lacking > 0 else None
