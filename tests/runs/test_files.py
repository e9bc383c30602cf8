import numpy as np
import pytest
import xarray as xr

from kgml_jax.runs import files


def test_a_file_appears_only_when_all_of_it_is_written(tmp_path, monkeypatch):
    path = tmp_path / "found.nc"
    files.write_dataset(path, xr.Dataset({"truth": ("site", [1.0, 2.0])}))

    def stopped(dataset, path, **options):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.Dataset, "to_netcdf", stopped)
    for name in (path, tmp_path / "new.nc"):
        with pytest.raises(KeyboardInterrupt):
            files.write_dataset(name, xr.Dataset())
    assert not (tmp_path / "new.nc").exists()
    monkeypatch.undo()
    with xr.open_dataset(path) as found:
        np.testing.assert_array_equal(found["truth"], [1.0, 2.0])
    files.write_dataset(path, xr.Dataset({"truth": ("site", [3.0])}))
    with xr.open_dataset(path) as found:
        np.testing.assert_array_equal(found["truth"], [3.0])
    assert not path.with_suffix(".partial").exists()
