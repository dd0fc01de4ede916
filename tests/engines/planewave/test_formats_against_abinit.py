"""Each pseudopotential format and each functional against ABINIT 9.6.2, at equal positions, cutoff, grid and k points.

Numbers and inputs: tests/reference/abinit/<case>/, made by make_references.py there from files of Debian's abinit-data
(skipped where it is not installed). Required are 2e-6 Ha an atom for F, 2e-5 Ha/Bohr for forces and 2e-6 Ha/Bohr³ for
stress; what is asserted is closer to what is reached, so that a loss of accuracy shows.
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
from tests.dft.test_psp8_upf import upf2_of_psp8

REFERENCES = Path(__file__).parents[2] / "reference" / "abinit"
ABINIT_FILES = Path("/usr/share/abinit/psp")
BUILT_IN = ["si_pbe"]
FILES = [
    "al_psp1", "si_psp1", "si_gth", "si_psp5", "si_psp10", "al_psp8", "si_psp8", "al_psp8_pbe", "si_psp8_pbe",
    "si_psp8_pbe_no_core", "mg2si_psp8", "graphene_pbe", "gaas_psp8", "alas_psp8_pbe",
]  # fmt: skip


def solve(case: str, files: dict[str, Path] | None = None) -> tuple[dict[str, Any], Crystal, CellState]:
    theirs = json.loads((REFERENCES / case / "result.json").read_text())
    if files is None:
        files = {symbol: ABINIT_FILES / name for symbol, name in theirs.get("pseudopotentials", {}).items()}
        if not all(path.is_file() for path in files.values()):
            pytest.skip("abinit-data is not installed")
    crystal = Crystal.from_lengths_and_angles(**theirs["crystal"])
    settings = PlaneWaveSettings(
        **{"smearing": "cold", **theirs["settings"]}, basis="full", scf_tolerance=1e-11, pseudopotentials=files
    )
    engine = PlaneWaveEngine(crystal, settings)
    return theirs, crystal, engine.evaluate(Deformation.from_array(theirs["deformation"]), np.array(theirs["internal"]))


@pytest.mark.parametrize("case", [*FILES, *BUILT_IN])
def test_energy_forces_and_stress(case: str) -> None:
    theirs, crystal, state = solve(case)
    assert theirs["code"] == "ABINIT 9.6.2"
    atoms = len(crystal.primitive_atoms)
    assert abs(state.free_energy / crystal.n_translations - theirs["free_energy"]) < 2e-8 * atoms
    assert np.abs(state.forces[crystal.primitive_atoms] - theirs["forces"]).max() < 5e-7
    assert np.abs(state.stress - theirs["stress"]).max() < 1e-8
    # Single terms are of first order in what is left of the density error, but for those without a density.
    for term in ("kinetic", "hartree", "xc", "ewald", "psp_core", "local_psp", "nonlocal_psp"):
        difference = abs(state.energy_terms[term] / crystal.n_translations - theirs[term])
        assert difference < (5e-8 if term in ("ewald", "psp_core") else 1e-6), term


def test_an_upf_file_of_the_same_ion(tmp_path: Path) -> None:
    """ABINIT 9.6.2 reads no UPF of version 2, but one that holds the numbers of a psp8 file is the same ion.

    Where the core ends is the format's: the file says 5.99 Bohr, of UPF it is where 1e-9 electrons/Bohr³ are left.
    """
    path = ABINIT_FILES / "14_Si_psml.psp8"
    if not path.is_file():
        pytest.skip("abinit-data is not installed")
    made = tmp_path / "si.upf"
    made.write_text(upf2_of_psp8(path.read_text()), encoding="utf-8")
    theirs, _, state = solve("si_psp8_pbe", {"Si": made})
    assert abs(state.free_energy - theirs["free_energy"]) < 1e-7
    assert np.abs(state.forces - theirs["forces"]).max() < 1e-6
    assert np.abs(state.stress - theirs["stress"]).max() < 1e-8
