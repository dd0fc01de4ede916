"""ABINIT's own files, of a run that somebody made by hand: other origin, order and frame than ours, the same state."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cellfields.crystal.deformation import Deformation
from cellfields.dataset.importing import Record, read_source
from cellfields.dataset.importing.record import state_of
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.abinit.pseudopotentials import pseudopotential_file
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.errors import InputError
from tests.toy import magnesium

pytest.importorskip("netCDF4", reason="ABINIT's files need netCDF4")
needs_abinit = pytest.mark.skipif(shutil.which("abinit") is None, reason="the abinit executable is not installed")

CRYSTAL = magnesium()
STRAIN = Deformation((1.01, 0.98, 1.02), (90.5, 89.0, 91.0))
INTERNAL = np.array([0.002, 0.01, -0.004])
SETTINGS = PlaneWaveSettings(
    smearing="cold",
    cutoff=6,
    kmesh=(2, 2, 2),
    smearing_width=0.02,
    basis="full",
    plane_waves="k_sphere",
    scf_tolerance=1e-11,
)
INPUT = """\
pseudos "Mg.gth"
acell 3*1.0
rprim {lattice}
natom 4 ntypat 1 typat 4*1 znucl 12
xred {positions}
ecut 6 ngkpt 2 2 2 nshiftk 1 shiftk 0 0 0
ixc 7 occopt 4 tsmear 0.02 nband 14 nstep 60 tolvrs 1e-14
nsym 1 chkprim 0 chksymbreak 0
iomode 3 prtwf 0 prtden 1 prtvha 1 prtvclmb 1 prteig 0
"""


def run(folder: Path, strain: Deformation) -> None:
    """The crystal's own cell of four atoms, as a user might have run it."""
    folder.mkdir()
    turn = Rotation.from_euler("xyz", [0.3, -0.5, 0.8]).as_matrix()
    order = [2, 0, 3, 1]
    positions = (CRYSTAL.positions(INTERNAL) + np.array([0.1, 0.05, 0.2]))[order]
    text = INPUT.format(
        lattice="\n".join(" ".join(f"{x:.15f}" for x in row) for row in strain.lattice(CRYSTAL) @ turn),
        positions="\n".join(" ".join(f"{x:.15f}" for x in row) for row in positions),
    )
    (folder / "run.abi").write_text(text)
    (folder / "Mg.gth").write_bytes(pseudopotential_file("Mg", SETTINGS).content)
    subprocess.run(["abinit", "run.abi"], cwd=folder, capture_output=True, check=True)


@needs_abinit
def test_a_run_of_the_users_own(tmp_path: Path) -> None:
    run(tmp_path / "cell_1", STRAIN)
    (tmp_path / "cell_2").mkdir()  # a run that was cut off, and one with nothing in it
    whole = (tmp_path / "cell_1" / "runo_GSR.nc").read_bytes()
    (tmp_path / "cell_2" / "runo_GSR.nc").write_bytes(whole[: len(whole) // 2])
    record, broken = read_source(tmp_path, CRYSTAL)
    assert isinstance(broken, InputError) and str(broken).startswith("cell_2/runo: ")
    assert isinstance(record, Record) and record.name == "cell_1/runo"
    state = state_of(record, CRYSTAL, 20.0, 0.01)
    np.testing.assert_allclose(state.deformation.as_array(), STRAIN.as_array(), atol=1e-8)
    np.testing.assert_allclose(state.internal, INTERNAL, atol=1e-9)
    own = PlaneWaveEngine(CRYSTAL, SETTINGS).evaluate(STRAIN, INTERNAL)
    assert state.free_energy == pytest.approx(own.free_energy, abs=1e-7)
    assert state.band_energy == pytest.approx(own.band_energy, abs=1e-6)
    assert state.entropic_energy == pytest.approx(own.entropic_energy, abs=1e-7)
    assert state.fermi_energy == pytest.approx(own.fermi_energy, abs=1e-6)
    np.testing.assert_allclose(state.forces, own.forces, atol=1e-6)
    np.testing.assert_allclose(state.stress, own.stress, atol=1e-8)
    assert state.fields is not None and own.fields is not None
    for name in ("density", "coulomb_potential"):
        mine = {tuple(m): x for m, x in zip(own.fields.basis.indices, own.fields.coefficients[name], strict=True)}
        theirs = zip(state.fields.basis.indices, state.fields.coefficients[name], strict=True)
        pairs = np.array([(x, mine[tuple(m)]) for m, x in theirs if tuple(m) in mine])
        assert len(pairs) > 200
        assert np.linalg.norm(pairs[:, 0] - pairs[:, 1]) < 1e-4 * np.linalg.norm(pairs[:, 1])
    assert state.provenance["code"].startswith("ABINIT ")
    assert "entropy_density" not in state.fields
