"""The engine against ABINIT 9.6.2 at equal pseudopotential, cutoff sphere, FFT grid, k points, smearing and positions.

The numbers stand in tests/reference/abinit/<case>/result.json beside the input (run.abi) that made them;
make_references.py in the same place makes both. ABINIT's energies are per primitive cell, its forces on the primitive
cell's atoms. Required are 1e-6 Ha for F, U and −TS and 1e-5 Ha/Bohr for forces; what is asserted is closer to what is
reached, so that a loss of accuracy shows. ABINIT iterates F to second order (tolvrs 1e-20), so F agrees to 1e-10; U,
E_F and the single terms are of first order in what is left of the density error.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.state import CellState

REFERENCES = Path(__file__).parents[2] / "reference" / "abinit"
HELD = ["mg_strained_a", "mg_strained_b", "al_fcc", "si_diamond", "mgal_zinc_blende", "gaas_zinc_blende"]
CASES = [*HELD, "mg_relaxed", "gaas_relaxed"]


def load(case: str) -> dict[str, Any]:
    return json.loads((REFERENCES / case / "result.json").read_text())


@pytest.fixture(scope="module", params=CASES)
def solved(request: pytest.FixtureRequest) -> tuple[dict[str, Any], Crystal, CellState]:
    theirs = load(request.param)
    crystal = Crystal.from_lengths_and_angles(**theirs["crystal"])
    settings = PlaneWaveSettings(
        **{"smearing": "cold", **theirs["settings"]}, basis="full", plane_waves="k_sphere", scf_tolerance=1e-11
    )
    engine = PlaneWaveEngine(crystal, settings)
    deformation = Deformation.from_array(theirs["deformation"])
    if theirs.get("relax"):
        return theirs, crystal, engine.solve(deformation)
    return theirs, crystal, engine.evaluate(deformation, np.array(theirs["internal"]))


def test_every_case_stands_beside_its_input() -> None:
    everything = sorted(p.parent.name for p in REFERENCES.glob("*/result.json"))
    assert {*CASES, "mg_paper_settings"} <= set(everything)  # others are test_formats_against_abinit.py's
    for case in everything:
        theirs = load(case)
        assert theirs["code"] == "ABINIT 9.6.2"
        # The committed input asks for what the numbers say they are.
        text = (REFERENCES / case / "run.abi").read_text()
        assert f"ecut {theirs['settings']['cutoff']}" in text
        assert "ngfft " + " ".join(map(str, theirs["settings"]["fft_grid"])) in text


def test_free_energy(solved) -> None:
    theirs, crystal, state = solved
    assert abs(state.free_energy / crystal.n_translations - theirs["free_energy"]) < 1e-9


def test_band_energy_and_entropic_energy(solved) -> None:
    theirs, crystal, state = solved
    copies = crystal.n_translations
    # 1e-7 is the engine's own: density converged to some 1e-6 (Coulomb norm); relaxed positions differ by 2e-5 Bohr.
    assert abs(state.band_energy / copies - theirs["band_energy"]) < 2e-7
    assert abs(state.entropic_energy / copies - theirs.get("entropic_energy", 0.0)) < 2e-8


def test_fermi_energy(solved) -> None:
    theirs, _, state = solved
    if theirs["settings"]["smearing"] == "none":
        # ABINIT, given the filled bands only, prints the highest of them; ours is the middle of the gap above it. LDA's
        # gap of strained silicon is some 0.02 Ha.
        assert 0.001 < state.fermi_energy - theirs["fermi_energy"] < 0.02
    else:
        assert abs(state.fermi_energy - theirs["fermi_energy"]) < 2e-7


@pytest.mark.parametrize(
    "term", ["kinetic", "hartree", "xc", "ewald", "psp_core", "local_psp", "nonlocal_psp", "free_energy"]
)
def test_each_energy_term(solved, term: str) -> None:
    theirs, crystal, state = solved
    ours = state.free_energy if term == "free_energy" else state.energy_terms[term]
    fixed = term in ("ewald", "psp_core") and not theirs.get("relax")  # no density in them: rounding only
    assert abs(ours / crystal.n_translations - theirs[term]) < (1e-12 if fixed else 1e-6)


def test_forces(solved) -> None:
    theirs, crystal, state = solved
    assert np.abs(state.forces[crystal.primitive_atoms] - theirs["forces"]).max() < 1e-6


def test_stress(solved) -> None:
    """ABINIT prints nine digits, Ha/Bohr³ of the order 1e-4; the frame is ours, as it was given this lattice."""
    theirs, _, state = solved
    assert np.abs(state.stress - theirs["stress"]).max() < 1e-8


def test_positions(solved) -> None:
    """Held ones are ABINIT's own; relaxed ones agree to 1e-3 Bohr (tolmxf 5e-7 there, force_tolerance 5e-7 here)."""
    theirs, crystal, state = solved
    primitive, positions = crystal.to_primitive(state.lattice, state.positions)
    difference = positions - theirs["positions_primitive"]
    distance = np.linalg.norm((difference - np.rint(difference)) @ primitive, axis=1)
    # 5e-7 Ha/Bohr over a softest curvature of some 1e-3 Ha/Bohr² is 5e-4 Bohr; 12 printed digits for the held ones.
    assert distance.max() < (1e-3 if theirs.get("relax") else 1e-10)
    if theirs.get("relax"):
        moved = (state.positions - crystal.positions_ref) @ state.lattice
        assert np.linalg.norm(moved, axis=1).max() > 0.03  # Bohr: it did relax, by thirty times the tolerance
        assert state.provenance["solves"] > 1
