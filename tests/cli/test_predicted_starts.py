"""``start`` and ``predictor``: what they write, and that a mistake is one line, code 2, and nothing written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cellfields.crystal.deformation import Deformation
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.abinit import AbinitEngine, AbinitOptions, DensityFile
from cellfields.engines.planewave import PlaneWaveEngine
from cellfields.surrogate import Recipe, Surrogate
from tests.surrogate.samples import draw
from tests.toy import ToyEngine, magnesium

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

D = "1.005,1,0.995,90,90.4,90"
SETTINGS = PlaneWaveSettings(smearing="cold", cutoff=5, kmesh=(2, 2, 1), smearing_width=0.02)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same surrogate, trained on states of the embedded engine, of ABINIT, and of nobody knows what."""
    folder, crystal = tmp_path_factory.mktemp("models"), magnesium()
    states = list(map(ToyEngine(crystal, field_cutoff=2.0).solve, draw(crystal, 20)))
    identities = {
        "planewave": PlaneWaveEngine(crystal, SETTINGS).identity,
        "abinit": AbinitEngine(crystal, SETTINGS, AbinitOptions(variables={"nline": 6})).identity,
        "unknown": None,
    }
    recipe = Recipe(name="taylor", modes=4, field_widths=(4,), small_widths=(4,), epochs=2)
    for name, identity in identities.items():
        Surrogate.train(crystal, states, recipe, identity=identity).save(folder / f"{name}.safetensors")
    return folder


@pytest.mark.parametrize("name", ["planewave", "abinit"])
def test_start_writes_a_folder_that_is_ready_to_run(shell: Shell, models: Path, name: str) -> None:
    there = shell.folder / "there"
    result = shell("start", models / f"{name}.safetensors", "--D", D, "--abinit", there)
    assert result.code == 0 and "abinit run.abi" in result.out
    assert {path.name for path in there.iterdir()} == {"run.abi", "Mg.gth", "start_DEN", "README"}
    text = (there / "run.abi").read_text()
    assert "ionmov 22" in text and "ecut 5.0" in text and ("nline 6" in text) == (name == "abinit")
    file = DensityFile.read(there / "start_DEN")
    surrogate = Surrogate.load(models / f"{name}.safetensors")
    crystal, deformation = surrogate.crystal, Deformation((1.005, 1, 0.995), (90, 90.4, 90))
    _, positions = crystal.to_primitive(np.eye(3), surrogate.solve(deformation).positions)
    np.testing.assert_allclose(file.positions, positions, atol=1e-12)
    assert abs(file.density.mean() * np.linalg.det(file.lattice) - 4) < 1e-12
    again = shell("start", models / f"{name}.safetensors", "--D", D, "--abinit", there)
    assert again.code == 2 and "new or an empty folder" in again.err


def test_start_holds_the_atoms_on_request(shell: Shell, models: Path) -> None:
    there = shell.folder / "there"
    assert shell("start", models / "planewave.safetensors", "--D", D, "--abinit", there, "--held").code == 0
    assert "ionmov" not in (there / "run.abi").read_text()


def test_start_takes_a_study_that_fits_and_names_what_does_not(shell: Shell, models: Path) -> None:
    model, there = models / "planewave.safetensors", shell.folder / "there"
    shell.edit("cutoff = 2\nkmesh = [1, 1, 1]", "cutoff = 5\nkmesh = [3, 2, 1]\nsmearing_width = 0.02")
    result = shell("start", model, "--D", D, "--abinit", there, "--study", shell.config)
    assert result.code == 0 and "other kmesh" in result.err and "smearing" not in result.err
    for old, new, name in (
        ("cutoff = 5", "cutoff = 6", "cutoff = 6.0"),
        ("cutoff = 6", "cutoff = 5\nfft_grid = [20, 20, 30]", "fft_grid"),
        ("fft_grid = [20, 20, 30]", 'functional = "pbe"', "functional = pbe"),
        ('functional = "pbe"', "valences = {Mg = 10}", "pseudopotentials"),
        ("5.89, 10.2017", "5.90, 10.2017", r"[crystal]"),
    ):
        shell.edit(old, new)
        result = shell("start", model, "--D", D, "--abinit", shell.folder / "other", "--study", shell.config)
        assert result.code == 2 and name in result.err and result.err.count("\n") == 1, result.err
    assert not (shell.folder / "other").exists()


def test_start_refuses_a_model_of_unknown_settings(shell: Shell, models: Path) -> None:
    result = shell("start", models / "unknown.safetensors", "--D", D, "--abinit", shell.folder / "there")
    assert result.code == 2 and "give --study" in result.err
    assert shell.files() == ["study.toml"]


def test_predictor_writes_one_file(shell: Shell, models: Path) -> None:
    pytest.importorskip("netCDF4")
    from cellfields.export import predictor

    model, gradients = models / "unknown.safetensors", shell.folder / "F.csv"
    gradients.write_text("1.01,0,0,0,1,0,0,0,1\n1.3,0,0,0,1,0,0,0,1\n")
    body = shell.folder / "body.nc"
    result = shell("predictor", model, "--deformations", gradients, "-o", body, "--json", "-")
    assert result.code == 0
    table = result.json()
    assert (table["elements"], table["in_domain"], table["grid"]) == (2, 1, None)
    assert "1 of 2 elements lie outside" in result.err
    with predictor.read(body) as file:
        assert file.in_domain.tolist() == [True, False] and len(file.fields) == 4
    result = shell("predictor", model, "--deformations", gradients, "-o", body, "--grid", "4,5,6", "--field", "density")
    assert result.code == 0 and "2 elements in" in result.out
    with predictor.read(body) as file:
        assert file.fields == ("density",) and file.grid == (4, 5, 6)


def test_predictor_refuses_in_one_line(shell: Shell, models: Path) -> None:
    pytest.importorskip("netCDF4")
    (shell.folder / "F.csv").write_text("1.01,0,0,0,1,0,0,0,-1\n")
    for arguments, reason in (
        (("--deformations", shell.folder / "none.npy"), "cannot be read"),
        (("--deformations", shell.folder / "F.csv"), "deformation gradient 0"),
        (("--deformations", shell.folder / "F.csv", "-o", shell.folder / "no" / "x.nc"), "does not exist"),
    ):
        result = shell("predictor", models / "unknown.safetensors", *arguments)
        assert result.code == 2 and reason in result.err and "Traceback" not in result.err
    assert shell.files() == ["F.csv", "study.toml"]
