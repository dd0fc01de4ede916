"""Strains and quick recipes that the tests of this folder share."""

from __future__ import annotations

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.surrogate import Networks, PaperNetworks, Polynomials, Recipe, TrendNetworks


def on_a_trend(networks: Networks) -> TrendNetworks:
    """The same networks on a quadratic trend."""
    return TrendNetworks(**networks.model_dump(exclude={"name"}))


QUICK = PaperNetworks(field_widths=(24, 24), small_widths=(16, 16), epochs=150, modes=12)
QUICK_RECIPES: dict[str, Recipe] = {
    "paper": QUICK,
    "taylor": on_a_trend(QUICK),
    "best": Polynomials(degree=3, modes=12),
}
TINY = PaperNetworks(field_widths=(8,), small_widths=(8,), epochs=20, modes=6)
TINY_RECIPES: dict[str, Recipe] = {"paper": TINY, "taylor": on_a_trend(TINY), "best": Polynomials(degree=2, modes=6)}


def draw(crystal: Crystal, count: int, seed: int = 0) -> list[Deformation]:
    return sample_deformations(crystal, count, seed=seed, stretch_sigma=0.015, angle_sigma=1.0)
