import pytest
from small_inputs import schema_dataset, tower_table


@pytest.fixture
def tower():
    return tower_table


@pytest.fixture
def write_tower(tmp_path):
    """Writes a tower's table under a name as FLUXNET distributes it; -9999 where missing."""

    def write(table, site="US-Aa1", years=None, version="1-4", folder=tmp_path):
        years = years or f"{table['TIMESTAMP'].iloc[0][:4]}-{table['TIMESTAMP'].iloc[-1][:4]}"
        path = folder / f"FLX_{site}_FLUXNET2015_SUBSET_DD_{years}_{version}.csv"
        table.to_csv(path, index=False, na_rep="-9999")
        return path

    return write


@pytest.fixture
def schema():
    return schema_dataset


@pytest.fixture
def per_site():
    """Per-site canonical data sets, as a reader returns them."""

    def make(sites=("north", "south"), **days):
        dataset = schema_dataset(sites, **days)
        parts = []
        for name in sites:
            one = dataset.sel(site=name).drop_vars(["site", "group"])
            group = str(dataset["group"].sel(site=name).item())
            parts.append(one.assign_attrs(site=name, group=group, source="memory"))
        return parts

    return make
