"""The input file, word by word where a word decides the physics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.abinit import AbinitEngine, AbinitOptions
from cellfields.engines.abinit.input import AbinitInput
from cellfields.errors import InputError
from tests.engines.abinit.problems import INTERNAL, MG_SETTINGS, SI_STRAIN, STRAIN
from tests.engines.planewave.problems import aluminium, magnesium_silicide
from tests.toy import magnesium


def variables(crystal: Crystal | None = None, relax: bool = False, **update: object) -> dict[str, str]:
    engine = AbinitEngine(crystal or magnesium(), MG_SETTINGS.model_copy(update=update))
    strain = STRAIN if crystal is None else SI_STRAIN
    internal = INTERNAL if crystal is None else np.zeros(crystal.n_internal)
    return dict(engine.input(strain, internal, relax=relax).variables)


def numbers(text: str) -> np.ndarray:
    return np.array(text.split(), dtype=float).reshape(-1, 3)


def test_cell_and_mesh_are_the_primitive_cells() -> None:
    crystal, made = magnesium(), variables()
    primitive, positions = crystal.to_primitive(STRAIN.lattice(crystal), crystal.positions(INTERNAL))
    assert np.abs(numbers(made["rprim"]) - primitive).max() < 1e-14
    assert np.abs(numbers(made["xred"]) - positions).max() < 1e-14
    assert (made["natom"], made["ntypat"], made["typat"], made["znucl"]) == ("2", "1", "1 1", "12")
    # The mesh 2×1×1 on the four-atom cell is the lattice of the R with e^{ikR} = 1: 2a, b, c in primitive vectors.
    rows = numbers(made["kptrlatt"]) @ crystal.primitive
    assert np.allclose(rows, np.diag([2, 1, 1]))
    assert (made["nshiftk"], made["shiftk"], made["kptopt"]) == ("1", "0 0 0", "2")
    assert variables(time_reversal=False)["kptopt"] == "3"


def test_symmetry_is_inversion_or_nothing() -> None:
    made = variables()
    assert (made["nsym"], made["tnons"]) == ("2", "0 0 0  0 0 0")
    assert np.array_equal(numbers(made["symrel"]), np.concatenate([np.eye(3), -np.eye(3)]))
    crystal = Crystal.from_lengths_and_angles([7.2] * 3, [60] * 3, ["Al", "Si"], [[0, 0, 0], [0.25] * 3])
    made = variables(crystal, relax=True)
    assert (made["nsym"], made["natfix"], made["iatfix"]) == ("1", "1", "1")
    assert "natfix" not in variables(relax=True)


def test_order_of_the_elements() -> None:
    made = variables(magnesium_silicide())
    assert (made["typat"], made["znucl"], made["pseudos"]) == ("1 2 2", "14 12", '"Si.gth, Mg.gth"')


@pytest.mark.parametrize(("smearing", "occopt"), [("cold", 4), ("fermi-dirac", 3), ("gaussian", 7)])
def test_smearing(smearing: str, occopt: int) -> None:
    made = variables(smearing=smearing)
    assert (made["occopt"], made["tsmear"]) == (str(occopt), "0.02")


def test_settings_become_variables() -> None:
    made = variables(cutoff=12.5, scf_tolerance=1e-9, max_scf_steps=33, mixing=0.4, bands=9)
    assert (made["ecut"], made["nstep"], made["diemix"], made["nband"]) == ("12.5", "33", "0.4", "9")
    assert float(made["tolvrs"]) == pytest.approx(1e-11)
    assert (made["ixc"], variables(functional="pbe")["ixc"]) == ("7", "11")
    assert made["ngfft"] == "16 16 24" and "ngfft" not in variables(fft_grid=None)
    assert "ionmov" not in made
    relaxing = variables(relax=True, force_tolerance=2e-6, max_relaxation_steps=17)
    assert (relaxing["ionmov"], relaxing["tolmxf"], relaxing["ntime"]) == ("22", "2e-06", "17")
    insulating = variables(magnesium_silicide(), smearing="none", bands=None)
    assert (insulating["occopt"], insulating["nband"]) == ("1", "5") and "tsmear" not in insulating
    assert variables(aluminium(), bands=None)["nband"] == "5"  # two for the electrons, three for the smearing


def test_further_variables() -> None:
    def made(**given: str | int | float) -> AbinitInput:
        engine = AbinitEngine(magnesium(), MG_SETTINGS, AbinitOptions(variables=given))
        return engine.input(STRAIN, INTERNAL)

    text = made(nline=6, diemac=12.5, wfoptalg="114").text
    assert "\nnline 6\n" in text and "\ndiemac 12.5\n" in text and "\nwfoptalg 114\n" in text and "\ntolvrs " in text
    text = made(toldfe=1e-10).text  # ABINIT takes one tolerance only
    assert "\ntoldfe 1e-10\n" in text and "tolvrs" not in text
    for name in ("ecut", "xcart", "ionmov", "prtwf", "ngfft", "diemix"):
        with pytest.raises(InputError, match=rf"^abinit\.variables\.{name} cannot be given"):
            made(**{name: 1})


def test_folder_is_ready_to_run(tmp_path: Path) -> None:
    engine = AbinitEngine(magnesium(), PlaneWaveSettings(smearing="cold", cutoff=6, kmesh=(2, 1, 1)))
    made = engine.input(STRAIN, INTERNAL)
    assert made.write(tmp_path) == tmp_path / "run.abi"
    assert (tmp_path / "run.abi").read_text() == made.text
    assert (tmp_path / "Mg.gth").read_bytes() == engine.pseudopotentials["Mg"].content
    names = [line.split()[0] for line in made.text.splitlines() if not line.startswith("  ")]
    assert len(names) == len(set(names)) == len(made.variables)
    more = made.with_variables({"prtwf": 0, "nline": 5})
    assert (more.variables["prtwf"], more.variables["nline"], made.variables["prtwf"]) == ("0", "5", "1")
