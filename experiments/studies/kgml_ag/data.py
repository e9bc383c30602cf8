"""What the five steps of KGML-ag learn from: simulated fields, counties with yields, towers."""

from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from kgml_jax.data import choices, splits
from kgml_jax.data.assemble import assemble
from kgml_jax.data.formats import county_yields
from kgml_jax.data.read import ReadOptions, read
from kgml_jax.data.synthetic import SyntheticConfig, generate, per_site
from kgml_jax.data.yield_targets import with_yields
from kgml_jax.models.simulation import simulate_sites
from kgml_jax.sites import Sites
from kgml_jax.split import DividedSites
from studies.kgml_ag.plan import COUNTIES, SYNTHETIC, TOWERS
from studies.measured_fields import catalogue, readers
from studies.measured_fields.simulated import simulate

CHAMPAIGN = "17019"
"""FIPS code of the county."""

SIMULATED = ("GPP", "Ra", "Rh", "Reco", "NEE")
TOWER_FLUXES = ("Reco", "NEE")


@dataclass(frozen=True)
class Sources:
    """Where the three sets of sites come from."""

    series: int = 24
    """Simulated fields, without noise and with the same process parameters everywhere."""
    years: int = 8
    """Years of every simulated record."""
    counties: int = 24
    """Counties with one yield a year; their crops differ from the simulated fields'."""
    tower_sites: int = 11
    """Synthetic towers, with parameters of their own, noise and gaps."""
    towers: tuple[Path, ...] = ()
    """FLUXNET files or folders, NetCDF, Zarr or CSV of real towers instead of synthetic ones."""
    champaign: Path | None = None
    """Folder of real weather and yields: Champaign county, Illinois, instead of synthetic ones."""
    test_years: int = 2
    """Years at the end of each record that are only ever scored."""
    validation_years: int = 1
    """Years before those that stop training."""
    data_seed: int = 0
    """Seed of the synthetic worlds."""


def load(sources: Sources) -> dict[str, DividedSites]:
    """Makes or reads the three sets of sites, GPP prescribed, with a split each.

    Raises:
      DataError: towers cannot be used, or one has no GPP.
    """
    # What is read comes before what is simulated: a wrong path is said at once.
    given = {COUNTIES: sources.champaign is not None, TOWERS: bool(sources.towers)}
    makers = {SYNTHETIC: simulated, COUNTIES: counties, TOWERS: towers}
    order = sorted(makers, key=lambda name: not given.get(name, False))
    found = {name: _divided(makers[name](sources), sources) for name in order}
    return {name: found[name] for name in makers}


def simulated(sources: Sources) -> Sites:
    """Simulates fields with the default process parameters; GPP, Ra, Rh, NEE and yield are seen."""
    config = SyntheticConfig(
        sites=sources.series,
        years=sources.years,
        seed=sources.data_seed,
        noise=False,
        gaps=False,
        spread=0.0,
    )
    world = _world(config)
    world["yield"] = _yield(world, world["grain_carbon_truth"])
    return assemble(per_site(world), targets=(*SIMULATED, "yield"))


def counties(sources: Sources) -> Sites:
    """Reads counties, or simulates some of their own parameters; only the yield is known."""
    if sources.champaign is not None:
        return champaign(sources.champaign)
    config = SyntheticConfig(
        sites=sources.counties, years=sources.years, seed=sources.data_seed + 1, gaps=False
    )
    world = _world(config)
    error = world["grain_yield"] / world["grain_yield_truth"]
    world["yield"] = _yield(world, error * world["grain_carbon_truth"])
    return assemble(per_site(world), targets=("yield",))


def champaign(folder: Path) -> Sites:
    """Reads the weather of Champaign, Illinois, and its yields as its farmers reported them.

    Two fields, with corn in even and in odd years. No GPP of the county is known: it is that of the
    process model with its default parameters under this weather.

    Raises:
      DataError: a file is missing or damaged; the message names it.
    """
    fields = readers.champaign(folder, catalogue.COUNTY)
    yields = county_yields.load(folder / readers.COUNTY_YIELDS)
    datasets = []
    for result in simulate(fields):
        told = result.field.dataset.assign(prescribed_gpp=result.simulated["GPP"])
        datasets.append(with_yields(told, yields, county=CHAMPAIGN)[0])
    return assemble(datasets, targets=("yield",))


def towers(sources: Sources) -> Sites:
    """Reads towers, or simulates them, of which Reco and NEE are known, with noise and gaps."""
    if sources.towers:
        readings = [read(path, options=ReadOptions(prescribe_gpp=True)) for path in sources.towers]
        datasets = [dataset for reading in readings for dataset in reading.sites]
        sites = assemble(datasets, targets=TOWER_FLUXES)
        choices.require_gpp(sites)
        return sites
    config = SyntheticConfig(
        sites=sources.tower_sites,
        years=sources.years,
        seed=sources.data_seed + 2,
        partition=False,
    )
    return assemble(per_site(_world(config)), targets=TOWER_FLUXES)


def _world(config: SyntheticConfig) -> xr.Dataset:
    world = generate(config, simulate_sites)
    # As in the published data, the model is told the GPP of the simulation.
    world["prescribed_gpp"] = world["GPP_truth"]
    return world


def _yield(world: xr.Dataset, grain: xr.DataArray) -> xr.DataArray:
    return grain.where(world["harvest"] > 0).assign_attrs(units="g C m-2 yr-1")


def _divided(sites: Sites, sources: Sources) -> DividedSites:
    split = splits.last_years(sites, sources.test_years, sources.validation_years)
    split.assert_disjoint()
    return split.divide(sites)
