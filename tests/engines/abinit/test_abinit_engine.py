"""ABINIT as an engine beside the embedded one: the same settings must mean the same physics.

What is asserted is some times what is measured (docs/engines.md): F to 1e-10 Ha, U and E_F to 1e-8, fields to 1e-7.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.band_filling import starting_bands
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.abinit import AbinitEngine, AbinitOptions
from cellfields.engines.abinit.output import ENERGY_TERMS
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import InputError, RelaxationNotConverged, SCFNotConverged
from cellfields.state import CellState
from cellfields.state.fields import FIELD_NAMES
from tests.dft.test_psp5 import file_lines
from tests.engines.abinit.problems import (
    INTERNAL,
    MG_SETTINGS,
    SI_INTERNAL,
    SI_SETTINGS,
    SI_STRAIN,
    STRAIN,
    differences,
    needs_abinit,
)
from tests.engines.planewave.problems import aluminium, silicon
from tests.toy import magnesium

TIGHT = {
    "free_energy": 1e-9,
    "band_energy": 1e-7,
    "entropic_energy": 1e-8,
    "fermi_energy": 3e-8,
    "energy_terms": 3e-7,
    "forces": 1e-7,
    "stress": 1e-8,
    "positions": 1e-12,
    "density": 1e-6,
    "coulomb_potential": 1e-6,
    "band_energy_density": 1e-6,
    "entropy_density": 3e-6,
}


def assert_close(state: CellState, other: CellState, allowed: dict[str, float]) -> None:
    found = differences(state, other)
    too_large = {name: value for name, value in found.items() if not value < allowed[name]}
    assert not too_large


@pytest.fixture(scope="module")
def engine() -> AbinitEngine:
    return AbinitEngine(magnesium(), MG_SETTINGS)


@pytest.fixture(scope="module")
def held(engine: AbinitEngine) -> CellState:
    return engine.evaluate(STRAIN, INTERNAL)


@pytest.fixture(scope="module")
def relaxed(engine: AbinitEngine) -> CellState:
    return engine.solve(STRAIN)


# -- agreement ------------------------------------------------------------------------------------------------------


@needs_abinit
def test_strained_magnesium_agrees_with_the_embedded_engine(engine: AbinitEngine, held: CellState) -> None:
    own = PlaneWaveEngine(engine.crystal, MG_SETTINGS).evaluate(STRAIN, INTERNAL)
    assert_close(held, own, TIGHT)
    assert np.abs(held.forces).max() > 1e-3 and np.abs(held.stress).max() > 1e-4  # there was something to agree on
    assert held.provenance["k_points"] == own.provenance["k_points"] == 3
    assert held.deformation == own.deformation and np.array_equal(held.lattice, own.lattice)
    assert held.fields.basis.same_as(own.fields.basis)


@needs_abinit
def test_state_is_complete_and_consistent(engine: AbinitEngine, held: CellState) -> None:
    """∫u = U and −σ∫s = −TS hold to rounding; the terms add up to what ABINIT's table of occupations leaves, 1e-9."""
    assert abs(held.fields.integral("density") - 8) < 1e-8
    assert abs(held.fields.integral("band_energy_density") - held.band_energy) < 1e-13
    assert abs(-0.02 * held.fields.integral("entropy_density") - held.entropic_energy) < 1e-15
    assert held.fields.coefficients["coulomb_potential"][0] == 0
    assert set(held.energy_terms) == set(ENERGY_TERMS)
    assert abs(sum(held.energy_terms.values()) - held.free_energy) < 1e-9
    assert held.energy_terms["entropic"] == held.entropic_energy
    assert np.array_equal(held.internal, INTERNAL)
    provenance = held.provenance
    assert provenance["engine"] == "ABINIT" and provenance["version"].count(".") == 2
    assert provenance["solves"] == 1 and provenance["scf_steps"] > 5 and provenance["bands"] == 7
    assert provenance["scf_residual"] < 1e-9 and provenance["max_force"] == np.abs(held.forces).max()
    assert min(provenance["cpu_seconds"], provenance["wall_seconds"]) > 0
    json.dumps(held.to_dict())
    pickle.loads(pickle.dumps(engine))


@needs_abinit
def test_silicon_with_filled_bands() -> None:
    """E_F is the middle of the gap here too, from one empty band, which ABINIT does not care to converge as well."""
    state = AbinitEngine(silicon(), SI_SETTINGS).evaluate(SI_STRAIN, SI_INTERNAL)
    own = PlaneWaveEngine(silicon(), SI_SETTINGS).evaluate(SI_STRAIN, SI_INTERNAL)
    assert_close(state, own, {**TIGHT, "fermi_energy": 1e-5})
    assert state.entropic_energy == 0 and not state.fields.coefficients["entropy_density"].any()
    assert state.provenance["bands"] == 5


@needs_abinit
@pytest.mark.parametrize("smearing", ["fermi-dirac", "gaussian"])
def test_aluminium_with_other_smearings(smearing: str) -> None:
    """No internal coordinates: solving is evaluating."""
    settings = SI_SETTINGS.model_copy(update={"smearing": smearing, "kmesh": (3, 2, 2), "bands": 6})
    strain = Deformation((1.01, 0.99, 1.0), (60.5, 59.0, 60.0))
    state = AbinitEngine(aluminium(), settings).solve(strain)
    assert_close(state, PlaneWaveEngine(aluminium(), settings).solve(strain), {**TIGHT, "free_energy": 1e-8})
    assert state.provenance["solves"] == 1


@needs_abinit
def test_relaxed_magnesium_agrees(engine: AbinitEngine, relaxed: CellState) -> None:
    """Forces of 5e-7 Ha/Bohr over a softest curvature of 1e-3 leave 5e-4 Bohr; fields move with the atoms."""
    own = PlaneWaveEngine(engine.crystal, MG_SETTINGS).solve(STRAIN)
    loose = {**dict.fromkeys(FIELD_NAMES, 1e-3), "positions": 5e-4, "forces": 1e-6, "stress": 3e-8}
    energies = {"band_energy": 1e-6, "energy_terms": 1e-5, "entropic_energy": 1e-6, "fermi_energy": 1e-6}
    assert_close(relaxed, own, {**TIGHT, **loose, **energies})
    assert np.linalg.norm((relaxed.positions - engine.crystal.positions_ref) @ relaxed.lattice, axis=1).min() > 0.03
    assert relaxed.provenance["max_force"] < MG_SETTINGS.force_tolerance
    assert relaxed.provenance["solves"] > 3
    # Relaxed where it says, not only there: holding the atoms there gives the same.
    assert_close(engine.evaluate(STRAIN, relaxed.internal), relaxed, {**TIGHT, "energy_terms": 1e-6})


@needs_abinit
def test_pseudopotential_file_and_its_local_channel(tmp_path: Path) -> None:
    """Format 5 with the local channel that the file names, and with another one written into its header."""
    path = tmp_path / "mg with spaces.psp5"
    path.write_text("\n".join(file_lines()) + "\n", encoding="utf-8")
    energies = []
    for channels in ({}, {"Mg": 1}):
        update = {"pseudopotentials": {"Mg": path}, "local_channels": channels}
        settings = MG_SETTINGS.model_copy(update=update)
        state = AbinitEngine(magnesium(), settings).evaluate(STRAIN, INTERNAL)
        own = PlaneWaveEngine(magnesium(), settings).evaluate(STRAIN, INTERNAL)
        # The two codes integrate the table of the radial functions by different rules.
        assert abs(state.free_energy - own.free_energy) < 1e-6
        assert differences(state, own)["density"] < 1e-5
        energies.append(state.free_energy)
    assert abs(energies[0] - energies[1]) > 1e-3


@needs_abinit
def test_crystal_without_inversion_and_its_mirror_image() -> None:
    """f(x) of one is f(−x) of the other, so their coefficients are complex conjugates; the first atom stays."""
    update = {"smearing": "cold", "cutoff": 5, "kmesh": (2, 2, 1), "fft_grid": (18, 18, 18), "bands": 8}
    settings = SI_SETTINGS.model_copy(update=update)
    here, there = (
        Crystal.from_lengths_and_angles([7.2] * 3, [60] * 3, ["Al", "Si"], [[0, 0, 0], [sign * 0.25] * 3])
        for sign in (1, -1)
    )
    assert here.inversion_centre is None
    one = AbinitEngine(here, settings).solve(SI_STRAIN)
    own = PlaneWaveEngine(here, settings).evaluate(SI_STRAIN, one.internal)
    assert_close(one, own, {**TIGHT, "entropy_density": 1e-5, "energy_terms": 1e-6})
    assert np.array_equal(one.positions[0], np.zeros(3)) and np.abs(one.internal).max() > 1e-3
    other = AbinitEngine(there, settings).evaluate(SI_STRAIN, -one.internal)
    assert abs(one.free_energy - other.free_energy) < 1e-11
    assert np.allclose(one.forces, -other.forces, atol=1e-7)
    for name in FIELD_NAMES:
        values = one.fields.coefficients[name]
        assert np.abs(values.imag).max() > 1e-3 * np.abs(values[1:]).max()
        assert np.allclose(values, other.fields.coefficients[name].conj(), atol=1e-6)


@needs_abinit
def test_bands_are_added_until_the_highest_is_empty() -> None:
    settings = MG_SETTINGS.model_copy(update={"smearing_width": 0.04, "bands": None})
    state = AbinitEngine(magnesium(), settings).evaluate(STRAIN, INTERNAL)
    assert state.provenance["bands"] > starting_bands(settings, 4) + 1
    own = PlaneWaveEngine(magnesium(), settings).evaluate(STRAIN, INTERNAL)
    # ABINIT's table of occupations is as coarse as the smearing is wide.
    wide = {"free_energy": 1e-8, "band_energy": 1e-6, "entropic_energy": 1e-6, "energy_terms": 1e-6}
    assert_close(state, own, {**TIGHT, **wide})


# -- what does not work ---------------------------------------------------------------------------------------------


@needs_abinit
def test_too_few_steps_are_typed_errors_with_their_history(engine: AbinitEngine) -> None:
    hasty = AbinitEngine(engine.crystal, MG_SETTINGS.model_copy(update={"max_scf_steps": 3}))
    with pytest.raises(SCFNotConverged, match=r"in 3 steps: vres2 = .*abinit\.keep") as caught:
        hasty.evaluate(STRAIN, INTERNAL)
    assert [step["step"] for step in caught.value.history] == [1, 2, 3]
    residuals = [step["potential_residual"] for step in caught.value.history]
    assert residuals[2] < residuals[1] < residuals[0]
    assert abs(caught.value.history[-1]["free_energy"] + 1.75) < 0.05  # Hartree, two atoms

    hasty = AbinitEngine(engine.crystal, MG_SETTINGS.model_copy(update={"max_relaxation_steps": 2}))
    with pytest.raises(RelaxationNotConverged, match=r"after 2 solves, wanted 5\.0e-07") as relaxation:
        hasty.solve(STRAIN)
    assert [set(step) for step in relaxation.value.history] == [{"free_energy", "force"}] * 2
    assert relaxation.value.history[0]["force"] > 1e-5


@needs_abinit
def test_metal_with_filled_bands_is_refused() -> None:
    settings = MG_SETTINGS.model_copy(update={"smearing": "none"})
    with pytest.raises(InputError, match="is for insulators, but the bands overlap by"):
        AbinitEngine(magnesium(), settings).evaluate(STRAIN, INTERNAL)


@needs_abinit
def test_variables_that_abinit_refuses(engine: AbinitEngine) -> None:
    options = AbinitOptions(variables={"nosuchvariable": 3})
    with pytest.raises(
        InputError, match=r"abinit\.variables\.nosuchvariable: ABINIT says: .*not one of the registered"
    ):
        AbinitEngine(engine.crystal, MG_SETTINGS, options).evaluate(STRAIN, INTERNAL)


def test_refusals_before_anything_runs() -> None:
    def make(crystal: Crystal | None = None, variables: dict[str, str] | None = None, **update: object) -> None:
        options = AbinitOptions(variables=variables or {})
        AbinitEngine(crystal or magnesium(), MG_SETTINGS.model_copy(update=update), options)

    with pytest.raises(InputError, match=r'engine\.plane_waves = "union" is not possible with ABINIT'):
        make(plane_waves="union")
    with pytest.raises(InputError, match="Si is named, but the crystal holds only Mg"):
        make(local_channels={"Si": 1})
    with pytest.raises(InputError, match=r"abinit\.variables\.ecut cannot be given"):
        make(variables={"ecut": "3"})
    with pytest.raises(InputError, match=r"abinit\.variables\.nsppol cannot be given"):
        make(variables={"nsppol": "2"})
    with pytest.raises(InputError, match='smearing = "none" fills bands with pairs'):
        make(aluminium(), smearing="none", bands=None)
    with pytest.raises(InputError, match="bands = 2 cannot hold 4 electrons"):
        make(bands=2)
    with pytest.raises(InputError, match="internal must hold 3 numbers"):
        AbinitEngine(magnesium(), MG_SETTINGS).evaluate(STRAIN, np.zeros(2))
    free = AbinitEngine(magnesium().with_inversion("free"), MG_SETTINGS)
    with pytest.raises(InputError, match=r'crystal\.inversion = "free" is not possible'):
        free.solve(STRAIN)


# -- identity and remedies ------------------------------------------------------------------------------------------


def test_fingerprint_holds_what_changes_numbers(engine: AbinitEngine) -> None:
    table = engine.identity.table
    json.dumps(table)
    assert table["engine"] == "ABINIT" and table["variables"] == {}
    assert len(table["settings"]["pseudopotentials"]["Mg"]) == 64

    def of(options: AbinitOptions | None = None, **update: object) -> dict:
        return AbinitEngine(magnesium(), MG_SETTINGS.model_copy(update=update), options).identity.table

    launch = AbinitOptions(command="mpirun -n 8 abinit", scratch=Path("/scratch"), timeout=10, keep=True)
    assert of(launch, max_scf_steps=7, mixing=0.1, basis="reduced") == table
    assert of(AbinitOptions(variables={"nline": 6})) != table
    assert of(cutoff=7) != table
    assert table != PlaneWaveEngine(magnesium(), MG_SETTINGS).identity.table


def test_remedy_mixes_more_slowly(engine: AbinitEngine) -> None:
    (remedy,) = engine.remedies()
    assert remedy.name == "smaller mixing"
    assert remedy.engine.identity.table == engine.identity.table
    careful = pickle.loads(pickle.dumps(remedy.engine)).input(STRAIN, INTERNAL).variables
    usual = engine.input(STRAIN, INTERNAL).variables
    assert float(careful["diemix"]) == pytest.approx(float(usual["diemix"]) / 3)
    assert int(careful["nstep"]) == 2 * int(usual["nstep"])
    assert {n: x for n, x in careful.items() if n not in ("diemix", "nstep")} == {
        n: x for n, x in usual.items() if n not in ("diemix", "nstep")
    }


def test_defaults() -> None:
    engine = AbinitEngine(magnesium(), PlaneWaveSettings(smearing="cold", cutoff=6, kmesh=(2, 1, 1)))
    assert engine.options == AbinitOptions()
    assert engine.electrons == 4
