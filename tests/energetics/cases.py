"""Small engines with a converged state each, and states whose density is wrong by a known amount."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.pseudopotential import CoreCharge, GTHPseudopotential, builtin_pseudopotential
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields
from tests.engines.planewave.problems import (
    MG_INTERNAL,
    SI_INTERNAL,
    SI_STRAIN,
    STRAIN,
    ZB_INTERNAL,
    CoredPseudopotential,
    silicon,
    zinc_blende,
)
from tests.toy import magnesium


@dataclass(frozen=True, eq=False)
class Case:
    """An engine and its own converged state at a strain, atoms held away from their places."""

    engine: PlaneWaveEngine
    state: CellState


CASES: dict[str, tuple[Callable[[], Crystal], tuple[float, ...], tuple[float, ...], dict]] = {
    "Mg": (magnesium, STRAIN, MG_INTERNAL, {"smearing": "cold"}),
    "Mg PBE": (magnesium, STRAIN, MG_INTERNAL, {"smearing": "gaussian", "functional": "pbe", "core": True}),
    "MgAl": (zinc_blende, SI_STRAIN, ZB_INTERNAL, {"smearing": "fermi-dirac", "kmesh": (2, 2, 1), "core": True}),
    "Si": (silicon, SI_STRAIN, SI_INTERNAL, {"smearing": "none", "kmesh": (2, 2, 1)}),
    "Mg reduced": (
        magnesium,
        STRAIN,
        MG_INTERNAL,
        {"basis": "reduced", "cutoff": 5, "kmesh": (4, 3, 3), "basis_tolerance": 1e-7},
    ),
}


@cache
def case(name: str) -> Case:
    """One of :data:`CASES`: LDA and PBE, cores and none, metal and insulator, with inversion and (MgAl) without."""
    make, strain, internal, given = CASES[name]
    crystal = make()
    table = {"cutoff": 6, "kmesh": (2, 1, 1), "smearing_width": 0.02, "basis": "full", "scf_tolerance": 1e-12, **given}
    cored = table.pop("core", False)
    settings = PlaneWaveSettings(**{"smearing": "cold", **table})
    ions = {s: builtin_pseudopotential(s, functional=settings.functional) for s in dict.fromkeys(crystal.species)}
    if cored:
        core = CoreCharge.teter(0.3, 0.9)
        ions = {
            s: CoredPseudopotential(*(getattr(ion, f.name) for f in fields(GTHPseudopotential)), core=core)
            for s, ion in ions.items()
        }
    engine = PlaneWaveEngine(crystal, settings, pseudopotentials=ions)
    return Case(engine, engine.evaluate(Deformation.from_array(strain), np.array(internal)))


def with_field(state: CellState, name: str, coefficients: np.ndarray) -> CellState:
    """The state with another field in the place of one of its own; φ, which would not belong to it, is left out."""
    assert state.fields is not None
    changed = {**state.fields.coefficients, name: coefficients}
    del changed["coulomb_potential"]
    return replace(state, fields=ElectronicFields(state.fields.basis, changed, state.fields.volume))


def perturbed(given: Case, amount: float) -> CellState:
    """ρ + ``amount`` · (a smooth density of the crystal's symmetry that integrates to nothing)."""
    state = given.state
    assert state.fields is not None
    basis = state.fields.basis
    reciprocal = 2 * np.pi * np.linalg.inv(given.engine.crystal.lattice_ref).T
    g2 = ((basis.indices @ reciprocal) ** 2).sum(axis=1)
    random = np.random.default_rng(3)
    noise = random.standard_normal(basis.size) + (0 if basis.real else 1j * random.standard_normal(basis.size))
    change = np.where(g2 > 0, noise * np.exp(-g2 / 2), 0.0)
    return with_field(state, "density", state.fields.coefficients["density"] + amount * change)
