"""The ASE calculator: its units and signs, its refusals, and ASE's own optimisers on top of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.filters import FrechetCellFilter, StrainFilter
from ase.optimize import BFGS
from ase.stress import voigt_6_to_full_3x3_stress
from ase.units import Bohr, Hartree
from scipy.spatial.transform import Rotation

from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import InputError
from cellfields.export import CellFieldsCalculator
from cellfields.mechanics import stress_free
from tests.mechanics.engines import HyperelasticEngine
from tests.mechanics.test_equilibrium import without_symmetry
from tests.toy import ToyEngine, magnesium

STRAIN = Deformation((1.02, 0.99, 1.01), (91.0, 89.5, 90.5))
SHIFT = np.array([0.31, 0.77, 0.12])
RESIDUAL = 2e-5 * np.array([1, -2, 0.5, 0.1, 0, -0.2])


@pytest.fixture
def engine() -> HyperelasticEngine:
    return HyperelasticEngine(magnesium(), residual=RESIDUAL, fields=True)


def strained(engine, deformation: Deformation = STRAIN) -> Atoms:
    crystal = engine.crystal
    atoms = crystal.to_atoms(deformation.lattice(crystal), crystal.positions_ref)
    atoms.calc = CellFieldsCalculator(engine)
    return atoms


def test_energy_and_stress_in_ase_units(engine):
    atoms, state = strained(engine), engine.solve(STRAIN)
    assert atoms.get_potential_energy() == pytest.approx(state.free_energy * Hartree, rel=1e-14)
    assert atoms.get_potential_energy(force_consistent=True) == pytest.approx(state.free_energy * Hartree, rel=1e-14)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), state.stress * Hartree / Bohr**3, rtol=1e-12, atol=1e-15)


def test_stress_is_the_derivative_of_the_energy_as_ase_sees_it(engine):
    """ASE's own numerical stress: order, sign and unit are right, also in a rotated frame."""
    from ase.calculators.fd import calculate_numerical_stress

    atoms = strained(engine)
    atoms.set_cell(atoms.cell.array @ Rotation.random(random_state=2).as_matrix(), scale_atoms=True)
    np.testing.assert_allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-4), atol=1e-7)


def test_forces_on_the_relaxed_manifold_are_zero(engine):
    """The energy does not depend on where the atoms are drawn, and the forces say the same."""
    atoms = strained(engine)
    energy = atoms.get_potential_energy()
    np.testing.assert_array_equal(atoms.get_forces(), np.zeros((4, 3)))
    atoms.positions[1] += [0.05, -0.03, 0.02]
    assert atoms.get_potential_energy() == energy


@pytest.mark.parametrize("wrapping", [FrechetCellFilter, StrainFilter])
def test_cell_filters_find_the_stress_free_cell(wrapping):
    """Shear stresses, which the symmetry of magnesium forbids, are those of a crystal without symmetry."""
    engine = HyperelasticEngine(without_symmetry(), residual=RESIDUAL)
    atoms = strained(engine)
    BFGS(wrapping(atoms), logfile=None).run(fmax=1e-5, steps=200)
    expected = stress_free(engine, tolerance=1e-10).deformation.as_array()
    found = Deformation.from_lattice(atoms.cell.array / Bohr, engine.crystal).as_array()
    np.testing.assert_allclose(found[:3], expected[:3], atol=2e-5)
    np.testing.assert_allclose(found[3:], expected[3:], atol=2e-3)


def test_order_origin_and_orientation_do_not_matter(engine):
    plain = strained(engine)
    turn = Rotation.random(random_state=4).as_matrix()
    other = strained(engine)[[2, 0, 3, 1]]
    other.set_scaled_positions(other.get_scaled_positions() + SHIFT)
    other.set_cell(other.cell.array @ turn.T, scale_atoms=True)
    other.wrap()
    other.calc = CellFieldsCalculator(engine)
    assert other.get_potential_energy() == pytest.approx(plain.get_potential_energy(), rel=1e-12)
    np.testing.assert_allclose(
        voigt_6_to_full_3x3_stress(other.get_stress()),
        turn @ voigt_6_to_full_3x3_stress(plain.get_stress()) @ turn.T,
        atol=1e-10,
    )
    relaxed, reference = other.calc.relaxed_atoms(), plain.calc.relaxed_atoms()
    # The same relaxed crystal: all distances agree, atom by atom (up to the crystal's own translations).
    np.testing.assert_allclose(
        np.sort(relaxed.get_all_distances(mic=True), axis=None),
        np.sort(reference.get_all_distances(mic=True), axis=None),
        atol=1e-8,
    )
    assert np.abs(relaxed.positions - other.positions).max() < 0.5  # Å: each atom stayed in its place


def test_the_density_is_where_the_atoms_are():
    """On the user's own axes and origin: it peaks at the relaxed atoms, and integrates to the electrons."""
    atoms = strained(ToyEngine(magnesium(), field_cutoff=2.0))
    atoms.set_scaled_positions(atoms.get_scaled_positions() + SHIFT)
    atoms.get_potential_energy()
    shape = (48, 80, 72)
    density = atoms.calc.density(shape)
    assert density.mean() * atoms.get_volume() == pytest.approx(8.0, rel=1e-9)
    peak = np.array(np.unravel_index(density.argmax(), shape)) / shape
    off = peak - atoms.calc.relaxed_atoms().get_scaled_positions()
    assert np.abs(off - np.rint(off)).max(axis=1).min() < 0.015


# -- refusals -------------------------------------------------------------------------------------------------------


def test_other_crystals_are_refused(engine):
    crystal = engine.crystal

    def energy(atoms: Atoms) -> float:
        atoms.calc = CellFieldsCalculator(engine)
        return atoms.get_potential_energy()

    good = strained(engine)
    with pytest.raises(InputError, match="Mg8 is not a deformation of this engine's Mg4"):
        energy(good.repeat((2, 1, 1)))
    alloy = good.copy()
    alloy.symbols[1] = "Al"
    with pytest.raises(InputError, match="is not a deformation"):
        energy(alloy)
    moved = good.copy()
    moved.positions[0] += [1.2, 0.0, 0.0]
    with pytest.raises(InputError, match="Bohr from its place"):
        energy(moved)
    mirrored = good.copy()
    mirrored.set_cell(mirrored.cell.array * [1, 1, -1], scale_atoms=True)
    with pytest.raises(InputError, match="right-handed"):
        energy(mirrored)
    huge = crystal.to_atoms(3 * crystal.lattice_ref)
    with pytest.raises(InputError, match="λa = 3 is outside"):
        energy(huge)
    open_box = good.copy()
    open_box.pbc = (True, True, False)
    with pytest.raises(InputError, match="periodic"):
        energy(open_box)


def test_nothing_to_show_before_a_calculation(engine):
    with pytest.raises(InputError, match="ask for an energy first"):
        CellFieldsCalculator(engine).density((4, 4, 4))


def test_an_engine_without_fields_has_no_density():
    atoms = strained(HyperelasticEngine(magnesium()))
    atoms.get_potential_energy()
    with pytest.raises(InputError, match="no density"):
        atoms.calc.density((4, 4, 4))


def test_an_engine_that_does_not_know_the_atoms_has_an_energy_and_a_stress():
    class Blind(HyperelasticEngine):
        def solve(self, deformation, *, start=None):
            state = super().solve(deformation, start=start)
            nowhere = np.full_like(state.positions, np.nan)
            return replace(state, positions=nowhere, unknown=frozenset({"internal"}))

    blind, seeing = strained(Blind(magnesium())), strained(HyperelasticEngine(magnesium()))
    assert blind.get_potential_energy() == pytest.approx(seeing.get_potential_energy())
    np.testing.assert_allclose(blind.get_stress(), seeing.get_stress())
    with pytest.raises(InputError, match="where the atoms go"):
        blind.calc.relaxed_atoms()


# -- atoms that stay where they are ---------------------------------------------------------------------------------


def test_held_atoms_need_an_engine_that_holds_them(engine):
    class RelaxedOnly:
        crystal = engine.crystal

    with pytest.raises(InputError, match="relaxed atoms only"):
        CellFieldsCalculator(RelaxedOnly(), atoms_are="held")
    with pytest.raises(InputError, match="'follow'"):
        CellFieldsCalculator(engine, atoms_are="free")


@pytest.mark.slow
def test_held_atoms_feel_real_forces():
    dft = PlaneWaveEngine(
        magnesium(), PlaneWaveSettings(smearing="cold", cutoff=5, kmesh=(2, 1, 1), scf_tolerance=1e-12)
    )
    crystal = dft.crystal
    internal = np.array([0.01, 0.015, -0.005])
    atoms = crystal.to_atoms(STRAIN.lattice(crystal), crystal.positions(internal) + SHIFT)[[1, 3, 0, 2]]
    atoms.set_cell(atoms.cell.array @ Rotation.random(random_state=4).as_matrix(), scale_atoms=True)
    atoms.calc = CellFieldsCalculator(dft, atoms_are="held")
    forces = atoms.get_forces()
    assert np.abs(forces).max() > 0.05
    # Move the pairs of atoms along the forces: the energy falls by their work.
    step = 1e-3 * forces / np.linalg.norm(forces)
    energies = []
    for sign in (-1, 1):
        moved = atoms.copy()
        moved.positions += sign * step
        moved.calc = atoms.calc
        energies.append(moved.get_potential_energy())
    assert (energies[0] - energies[1]) / 2 == pytest.approx(np.sum(forces * step), rel=2e-3)
    broken = atoms.copy()
    broken.positions[0] += [0.01, 0, 0]
    broken.calc = atoms.calc
    with pytest.raises(InputError, match="inversion"):
        broken.get_potential_energy()


# -- pymatgen -------------------------------------------------------------------------------------------------------


def test_a_pymatgen_structure_goes_through_the_adaptor(engine):
    pytest.importorskip("pymatgen.io.ase", reason="pymatgen is not installed")
    from pymatgen.core import Lattice, Structure
    from pymatgen.io.ase import AseAtomsAdaptor

    crystal = engine.crystal
    structure = Structure(Lattice(STRAIN.lattice(crystal) * Bohr), crystal.species, crystal.positions_ref)
    atoms = AseAtomsAdaptor.get_atoms(structure)
    atoms.calc = CellFieldsCalculator(engine)
    assert atoms.get_potential_energy() == pytest.approx(engine.solve(STRAIN).free_energy * Hartree, rel=1e-9)
    back = AseAtomsAdaptor.get_structure(atoms.calc.relaxed_atoms())
    assert back.composition == structure.composition


def test_atoms_with_moments_or_a_net_charge_are_refused(engine):
    """As ``Crystal.from_atoms`` does: they would be ignored."""
    atoms = strained(engine)
    atoms.set_initial_magnetic_moments([1.0, 0, 0, -1.0])
    with pytest.raises(InputError, match="magnetic moments"):
        atoms.get_potential_energy()
    atoms = strained(engine)
    atoms.set_initial_charges([1.0, 0, 0, 0])
    with pytest.raises(InputError, match="net charge of 1"):
        atoms.get_potential_energy()
    atoms.set_initial_charges([1.0, 0, 0, -1.0])
    assert atoms.get_potential_energy() == strained(engine).get_potential_energy()
