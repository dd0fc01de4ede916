"""Crystals that need spin or dispersion are named; those that do not are left alone."""

from __future__ import annotations

import warnings

import pytest
from ase import Atoms
from ase.build import bulk, graphene, molecule, mx2

from cellfields.crystal import Crystal
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.dft.unmodelled import layer_distance, magnetic_elements, missing_physics
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import PhysicsWarning

SETTINGS = PlaneWaveSettings(smearing="cold", cutoff=10, kmesh=(1, 1, 1))


def crystal(atoms: Atoms) -> Crystal:
    atoms = atoms.copy()
    atoms.pbc = True
    atoms.set_initial_magnetic_moments(None)
    return Crystal.from_atoms(atoms)


def sheet(atoms: Atoms, height: float) -> Crystal:
    atoms = atoms.copy()
    atoms.cell[2] = [0, 0, height]
    return crystal(atoms)


def graphite(height: float = 6.71) -> Crystal:
    cell = [[2.46, 0, 0], [-1.23, 1.23 * 3**0.5, 0], [0, 0, height]]
    places = [[0, 0, 0.25], [0, 0, 0.75], [1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]
    return Crystal.from_atoms(Atoms("C4", cell=cell, scaled_positions=places, pbc=True))


@pytest.mark.parametrize(
    ("atoms", "elements"),
    [
        (bulk("Fe"), ("Fe",)),
        (bulk("Gd"), ("Gd",)),
        (bulk("NiO", "rocksalt", a=4.18), ("Ni",)),
        (bulk("CuF", "rocksalt", a=4.3), ("Cu",)),
        (bulk("Cu"), ()),
        (bulk("V"), ()),
        (bulk("MgO", "rocksalt", a=4.21), ()),
        (Atoms("O2", [[0, 0, 0], [0, 0, 1.21]], cell=[4, 4, 5]), ("O",)),
        (Atoms("O2", [[0, 0, 0], [0, 0, 1.49]], cell=[4, 4, 5]), ()),  # a peroxide's distance
    ],
)
def test_elements_that_carry_moments(atoms: Atoms, elements: tuple[str, ...]) -> None:
    assert magnetic_elements(crystal(atoms)) == elements


@pytest.mark.parametrize(
    ("layers", "distance"),
    [
        (graphite(), 3.355),
        (sheet(graphene(a=2.46), 3.35), 3.35),
        (sheet(mx2("MoS2", a=3.18, thickness=3.19), 6.7), 3.51),  # sulphur over sulphur
        (sheet(graphene(a=2.46), 7.0), None),  # a sheet in vacuum, as examples/05_graphene
        (sheet(graphene(a=2.46), 9.0), None),
        (sheet(graphene(a=2.46), 2.0), None),  # squeezed until it is bonded
        (crystal(bulk("C")), None),
        (crystal(bulk("Na")), None),
        (crystal(bulk("Mg")), None),
        (crystal(bulk("NaCl", "rocksalt", a=5.64)), None),
        (crystal(molecule("H2", vacuum=2.5)), None),
    ],
)
def test_layers_that_dispersion_binds(layers: Crystal, distance: float | None) -> None:
    assert layer_distance(layers) == (None if distance is None else pytest.approx(distance, abs=1e-3))


def test_engines_say_so_once_and_remedies_do_not_repeat_it() -> None:
    with pytest.warns(PhysicsWarning, match=r"Ni may carry magnetic moments.*solved without spin") as told:
        engine = PlaneWaveEngine(crystal(bulk("NiO", "rocksalt", a=4.18)), SETTINGS)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine.remedies()
        engine.for_crystal(engine.crystal)
        PlaneWaveEngine(crystal(bulk("MgO", "rocksalt", a=4.21)), SETTINGS)
    with pytest.warns(PhysicsWarning, match=r"layers 3\.3. Å apart.*dispersion"):
        PlaneWaveEngine(graphite(), SETTINGS)


def test_without_smearing_an_oxide_is_told_to_be_a_metal_without_spin() -> None:
    nio = crystal(bulk("NiO", "rocksalt", a=4.18))
    assert 'likely to be a metal, which smearing = "none" cannot solve' in missing_physics(nio, smearing="none")[0]
    assert "metal" not in missing_physics(nio, smearing="cold")[0]
