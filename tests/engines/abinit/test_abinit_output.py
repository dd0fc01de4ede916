"""What ABINIT wrote is read to the last digit, or refused in one sentence: never a crash, a hang, or all of the memory.

The samples are ABINIT's own files of a tiny relaxed silicon cell (make_samples.py).
"""

from __future__ import annotations

import importlib.util
import shutil
import time
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellfields.crystal.deformation import Deformation
from cellfields.engines.abinit import AbinitEngine, AbinitOptions
from cellfields.engines.abinit.netcdf import read_netcdf
from cellfields.engines.abinit.output import ENERGY_TERMS, AbinitOutput, output_files, read_output, scf_history
from cellfields.errors import AbinitOutputMissing, CorruptFileError, InputError
from tests.engines.abinit.make_samples import SETTINGS
from tests.engines.abinit.problems import MG_SETTINGS
from tests.engines.abinit.test_abinit_run import program
from tests.engines.planewave.problems import SI_STRAIN, silicon
from tests.toy import magnesium

SAMPLES = Path(__file__).with_name("samples")
FILES = output_files(SAMPLES)


@pytest.fixture(scope="module")
def output() -> AbinitOutput:
    return read_output(FILES)


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    shutil.copytree(SAMPLES, tmp_path / "run")
    return tmp_path / "run"


# -- what is there --------------------------------------------------------------------------------------------------


def test_files_of_a_relaxation_are_those_of_its_last_step(copies: Path) -> None:
    assert {kind: path.name for kind, path in FILES.items()} == {
        "GSR": "runo_GSR.nc",
        "DEN": "runo_TIM5_DEN.nc",
        "VCLMB": "runo_TIM5_VCLMB.nc",
        "WFK": "runo_WFK.nc",
        "HIST": "runo_HIST.nc",
    }
    shutil.copy(copies / "runo_TIM5_DEN.nc", copies / "runo_TIM12_DEN.nc")
    assert output_files(copies)["DEN"].name == "runo_TIM12_DEN.nc"
    shutil.copy(copies / "runo_GSR.nc", copies / "other_GSR.nc")
    with pytest.raises(InputError, match=r"must hold one ABINIT output \*_GSR\.nc; it holds several of them"):
        output_files(copies)
    assert set(output_files(copies, "other")) == {"GSR"}
    with pytest.raises(InputError, match="it holds none"):
        output_files(copies.parent)


def test_numbers_of_a_run(output: AbinitOutput) -> None:
    assert output.version == "9.6.2"
    assert output.atomic_numbers.tolist() == [14, 14] and output.electrons == 8
    expected = Deformation.from_array(SI_STRAIN).lattice(silicon())
    assert np.allclose(output.lattice, expected, atol=1e-9)  # the input's digits
    assert abs(sum(output.energies[name] for name in ENERGY_TERMS) - output.energies["free_energy"]) < 1e-12
    assert output.energies["free_energy"] == pytest.approx(output.relaxation[-1]["free_energy"], abs=1e-12)
    assert np.abs(output.forces).max() == pytest.approx(output.relaxation[-1]["force"], abs=1e-12)
    assert output.relaxation[0]["force"] > SETTINGS.force_tolerance > output.relaxation[-1]["force"]
    assert np.array_equal(output.stress, output.stress.T)
    volume = np.linalg.det(output.lattice)
    assert output.density is not None and output.coulomb_potential is not None and output.orbitals is not None
    assert abs(output.density.mean() * volume - 8) < 1e-9
    assert output.density.shape == output.coulomb_potential.shape
    assert abs(output.coulomb_potential.mean()) < 1e-12
    orbitals = output.orbitals
    filled = (orbitals.k_weights[:, None] * orbitals.occupations * orbitals.energies).sum()
    assert abs(filled - output.energies["band_energy"]) < 1e-12


def test_main_output_tells_the_history(output: AbinitOutput) -> None:
    text = (SAMPLES / "run.abo").read_text()
    cycles = scf_history(text)
    assert len(cycles) == len(output.relaxation) == 5
    assert [cycle[0]["step"] for cycle in cycles] == [1] * 5
    assert abs(cycles[-1][-1]["free_energy"] - output.energies["free_energy"]) < 1e-12
    assert set(cycles[0][0]) == {
        "step", "free_energy", "energy_change", "eigenvalue_residual", "potential_residual"
    }  # fmt: skip
    assert scf_history(" ETOT  1  ************ -1.0E+00 2.0E-01 3.0E-01\n ETOT 2 -1.5 oops") == []
    assert scf_history("") == []


def test_missing_files_are_missing_quantities(copies: Path) -> None:
    for name in ("runo_WFK.nc", "runo_TIM5_VCLMB.nc", "runo_HIST.nc"):
        (copies / name).unlink()
    output = read_output(output_files(copies))
    assert output.orbitals is None and output.coulomb_potential is None and output.relaxation == ()
    assert output.density is not None


# -- what is wrong --------------------------------------------------------------------------------------------------


def change(path: Path, name: str, index: object, value: object) -> None:
    with netCDF4.Dataset(path, "r+") as file:
        file.variables[name][index] = value


@pytest.mark.parametrize(
    ("kind", "name", "index", "value", "message"),
    [
        ("GSR", "etotal", ..., np.nan, "etotal does not hold finite numbers"),
        ("GSR", "primitive_vectors", ..., 0.0, "span no cell"),
        ("GSR", "atom_species", 0, 7, "atom_species does not hold integers in 1 … 1"),
        ("DEN", "density", (0, 0, 0, 0, 0), 1e9, "its density does not integrate to 8 electrons"),
        ("DEN", "primitive_vectors", (0, 0), 7.0, "it belongs to another cell"),
        ("VCLMB", "reduced_atom_positions", (0, 0), 0.3, "its atoms are in other places"),
        ("WFK", "coefficients_of_wavefunctions", (0, 0, 0, 0, 0, 0), 1e200, "does not hold finite numbers"),
        ("WFK", "coefficients_of_wavefunctions", (0, 0, 0, 0, 0, 0), 2.0, "its wavefunctions are not normalised"),
        ("WFK", "reduced_coordinates_of_plane_waves", (0, 0, 0), 2**30, "holds no reciprocal lattice vectors"),
        ("WFK", "number_of_coefficients", 0, 10**6, "number_of_coefficients does not hold integers"),
        ("WFK", "kpoint_weights", ..., 3.0, "kpoint_weights does not sum to 1"),
    ],
)
def test_altered_numbers(copies: Path, kind: str, name: str, index: object, value: object, message: str) -> None:
    files = output_files(copies)
    change(files[kind], name, index, value)
    with pytest.raises(CorruptFileError, match=rf"^netCDF file {files[kind].name}: .*{message}"):
        read_output(files)


def test_runs_of_another_kind_are_refused(copies: Path) -> None:
    files = output_files(copies)
    change(files["WFK"], "istwfk", 0, 2)
    with pytest.raises(InputError, match=r"run ABINIT with istwfk \*1"):
        read_output(files)
    change(files["GSR"], "usepaw", ..., 1)
    with pytest.raises(InputError, match="made with the PAW method"):
        read_output(files)


def test_files_that_are_not_netcdf(tmp_path: Path) -> None:
    path = tmp_path / "runo_GSR.nc"
    with pytest.raises(CorruptFileError, match=r"runo_GSR\.nc is not there"):
        read_netcdf({path: ["etotal"]})
    for content in (b"", b"no netCDF", FILES["GSR"].read_bytes()[:5000]):
        path.write_bytes(content)
        with pytest.raises(CorruptFileError, match=r"^netCDF file runo_GSR\.nc"):
            read_netcdf({path: ["etotal", "coefficients_of_wavefunctions"]})


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_truncated_wavefunctions_are_noticed(copies: Path, part: float) -> None:
    """The netCDF library reads zeros where a classic file ends too early."""
    files = output_files(copies)
    content = files["WFK"].read_bytes()
    files["WFK"].write_bytes(content[: int(part * len(content))])
    with pytest.raises(CorruptFileError, match=r"netCDF file runo_WFK\.nc"):
        read_output(files)


def test_variables_that_a_file_lacks_are_left_out() -> None:
    arrays = read_netcdf({FILES["GSR"]: ["etotal", "no_such_variable"]})
    assert set(arrays[FILES["GSR"]]) == {"etotal"}


def test_memory_is_limited(tmp_path: Path) -> None:
    """A file of some kilobytes that claims to hold a terabyte."""
    path = tmp_path / "bomb.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("n", 2**37)
        file.createVariable("density", "f8", ("n",), chunksizes=(2**20,), zlib=True)
    assert path.stat().st_size < 100_000
    with pytest.raises(CorruptFileError, match="density claims to be larger than the file can hold"):
        read_netcdf({path: ["density"]})


def test_time_is_limited() -> None:
    start = time.monotonic()
    with pytest.raises(CorruptFileError, match=r"could not be read within 0\.001 seconds"):
        read_netcdf({FILES["GSR"]: ["etotal"]}, timeout=0.001)
    assert time.monotonic() - start < 5


def test_crash_of_the_library_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    child = tmp_path / "child.py"
    child.write_text("import os\nos.abort()\n")
    monkeypatch.setattr("cellfields.engines.abinit.netcdf._CHILD", child)
    with pytest.raises(CorruptFileError, match=r"runo_GSR\.nc is damaged: the netCDF library broke down over it"):
        read_netcdf({FILES["GSR"]: ["etotal"]})


def test_missing_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "netCDF4" else find(name))
    with pytest.raises(
        InputError, match=r"^ABINIT's files need the netCDF4 library: pip install 'cellfields\[abinit\]'$"
    ):
        AbinitEngine(magnesium(), MG_SETTINGS).solve(Deformation.identity(magnesium()))


mutations = st.one_of(
    st.tuples(st.just("byte"), st.floats(0, 1, exclude_max=True), st.integers(0, 255)),
    st.tuples(st.just("cut"), st.floats(0, 1, exclude_max=True), st.just(0)),
    st.tuples(st.just("fill"), st.floats(0, 1, exclude_max=True), st.sampled_from([0, 255])),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["GSR", "WFK"]), st.lists(mutations, min_size=1, max_size=6), st.booleans())
def test_any_bytes_give_a_result_or_one_typed_error(
    tmp_path_factory: pytest.TempPathFactory, kind: str, changes: list[tuple[str, float, int]], head: bool
) -> None:
    content = bytearray(FILES[kind].read_bytes())
    for what, place, value in changes:
        reach = min(len(content), 4000) if head else len(content)  # the headers hold most of what can go wrong
        at = int(place * reach)
        if what == "cut":
            content = content[:at]
        elif content:
            content[at : at + (8 if what == "fill" else 1)] = bytes([value]) * (8 if what == "fill" else 1)
    path = tmp_path_factory.mktemp("mutated") / FILES[kind].name
    path.write_bytes(content)
    try:
        output = read_output({**FILES, kind: path})
    except InputError as error:
        assert "\n" not in str(error) and path.stem in str(error)
    else:
        assert np.isfinite(list(output.energies.values())).all()


# -- a run that did not write what it should have -------------------------------------------------------------------


def test_incomplete_output_of_a_run(tmp_path: Path) -> None:
    def run(script: str) -> None:
        options = AbinitOptions(command=program(tmp_path, script), scratch=tmp_path / "scratch")
        AbinitEngine(silicon(), SETTINGS, options).solve(Deformation.from_array(SI_STRAIN))

    with pytest.raises(AbinitOutputMissing, match="without one step of self-consistency"):
        run("exit 0")
    with pytest.raises(AbinitOutputMissing, match=r"without writing runo_DEN\.nc, runo_GSR\.nc, .*; abinit\.keep"):
        run(f"cp '{SAMPLES}/run.abo' .")
    with pytest.raises(AbinitOutputMissing, match=r"without writing runo_WFK\.nc;"):
        run(f"cp '{SAMPLES}'/* . && rm runo_WFK.nc")
    with pytest.raises(CorruptFileError, match=r"netCDF file runo_WFK\.nc"):
        run(f"cp '{SAMPLES}'/* . && head -c 3000 '{SAMPLES}/runo_WFK.nc' > runo_WFK.nc")
    with pytest.raises(CorruptFileError, match=r"runo_GSR\.nc holds another energy than ABINIT's main output"):
        run(f"cp '{SAMPLES}'/* . && sed 's/ETOT  \\(.\\)  -7/ETOT  \\1  -6/' '{SAMPLES}/run.abo' > run.abo")
    run(f"cp '{SAMPLES}'/* .")


def test_an_older_file_names_a_term_otherwise_and_nobody_needs_what_it_does_not_use(copies: Path) -> None:
    """ABINIT 8 calls the energy of the nonlocal potential e_nonlocalpsp."""
    files = output_files(copies)
    now = read_output({"GSR": files["GSR"]})
    with netCDF4.Dataset(files["GSR"], "r+") as file:
        file.renameVariable("e_nlpsp_vfock", "e_nonlocalpsp")
    assert read_output({"GSR": files["GSR"]}).energies == now.energies
    with netCDF4.Dataset(files["GSR"], "r+") as file:
        file.renameVariable("e_nonlocalpsp", "e_of_another_name")
    with pytest.raises(CorruptFileError, match="variable e_nlpsp_vfock is missing"):
        read_output({"GSR": files["GSR"]})
    assert read_output({"GSR": files["GSR"]}, energies=["free_energy"]).energies == {
        "free_energy": now.energies["free_energy"]
    }


def test_a_folder_of_abinit_8_is_imported(copies: Path) -> None:
    from cellfields.dataset.importing import Record, read_source

    with netCDF4.Dataset(output_files(copies)["GSR"], "r+") as file:
        file.renameVariable("e_nlpsp_vfock", "e_nonlocalpsp")
    (record,) = read_source(copies, magnesium())
    assert isinstance(record, Record), record
    assert record.electrons == 8 and set(record.energies) >= {"free_energy", "entropic_energy"}
