"""Predictor files: what each element says is what the model says of it, whatever turns it; whole files or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellfields.crystal.deformation import Deformation, strains_of_gradients
from cellfields.errors import CorruptFileError, InputError
from cellfields.export import predictor
from cellfields.export.deformation_gradients import read_gradients
from cellfields.export.predictor_writer import write_predictor
from cellfields.state.fields import FIELD_NAMES
from cellfields.state.quantities import ENERGIES
from cellfields.storage.atomic import StoreError
from cellfields.surrogate import Recipe, Surrogate
from tests.surrogate.samples import draw
from tests.toy import ToyEngine, magnesium

pytest.importorskip("netCDF4")

GRID = (6, 8, 5)


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    crystal = magnesium()
    states = map(ToyEngine(crystal, field_cutoff=2.0).solve, draw(crystal, 30))
    return Surrogate.train(crystal, states, Recipe(name="best", modes=8, degree=2))


@pytest.fixture(scope="module")
def gradients() -> np.ndarray:
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.normal(size=(7, 3, 3)))[0]
    turned *= np.sign(np.linalg.det(turned))[:, None, None]
    stretched = np.eye(3) + 0.01 * rng.normal(size=(7, 3, 3))
    stretched[3] = np.diag([1.2, 1, 1])  # far outside
    return turned @ stretched


@pytest.fixture(scope="module")
def compact(tmp_path_factory: pytest.TempPathFactory, surrogate: Surrogate, gradients: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("predictor") / "body.nc"
    told: list[tuple[int, int]] = []
    inside = write_predictor(path, surrogate, gradients, on_progress=lambda *x: told.append(x))
    assert told == [(7, 7)]
    with predictor.read(path) as file:
        assert inside == file.in_domain.sum() < len(file) == 7
        assert not file.in_domain[3]
    return path


@pytest.mark.filterwarnings("ignore:a deformation lies outside")
def test_every_element_is_what_the_model_says(compact: Path, surrogate: Surrogate, gradients: np.ndarray) -> None:
    with predictor.read(compact) as file:
        assert file.crystal == surrogate.crystal and file.fields == FIELD_NAMES and file.grid is None
        for index, gradient in enumerate(gradients):
            state = surrogate.solve(Deformation.from_deformation_gradient(gradient, surrogate.crystal))
            fields = file.element(index)
            assert abs(fields.volume - state.volume) < 1e-9
            for name in FIELD_NAMES:
                np.testing.assert_allclose(
                    fields.on_grid(name, GRID), state.fields.on_grid(name, GRID), rtol=1e-9, atol=1e-11
                )
            np.testing.assert_allclose(file.numbers("positions", index), state.positions, atol=1e-11)
            for name in ENERGIES:
                assert abs(file.numbers(name, index) - getattr(state, name)) < 1e-10
            assert bool(file.in_domain[index]) == state.provenance["in_domain"]


def test_a_rotation_turns_the_cell_and_nothing_else(
    tmp_path: Path, surrogate: Surrogate, gradients: np.ndarray
) -> None:
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    both = np.array([gradients[0], turn @ gradients[0]])
    write_predictor(tmp_path / "b.nc", surrogate, both)
    point = np.array([[1.3, -0.4, 2.2]])
    with predictor.read(tmp_path / "b.nc") as file:
        np.testing.assert_allclose(file.numbers("deformation", 0), file.numbers("deformation", 1), atol=1e-10)
        np.testing.assert_allclose(file.numbers("lattice", 1), file.numbers("lattice", 0) @ turn.T, atol=1e-10)
        here, there = file.at("density", 0, point), file.at("density", 1, point @ turn.T)
        np.testing.assert_allclose(here, there, rtol=1e-9)
        corner = file.at("density", 0, np.zeros((1, 3)))
        assert abs(corner[0] - file.values("density", 0, GRID)[0, 0, 0]) < 1e-10


def test_grids_hold_the_same_values(tmp_path: Path, compact: Path, surrogate: Surrogate, gradients: np.ndarray) -> None:
    path = tmp_path / "grid.nc"
    write_predictor(path, surrogate, gradients, fields=["density", "coulomb_potential"], grid=GRID)
    with predictor.read(path) as grid, predictor.read(compact) as functions:
        assert grid.fields == ("density", "coulomb_potential") and grid.grid == GRID
        for name in grid.fields:
            np.testing.assert_allclose(grid.values(name, 2), functions.values(name, 2, GRID), rtol=1e-5, atol=1e-6)
        with pytest.raises(InputError, match="holds grids"):
            grid.element(0)
        with pytest.raises(InputError, match="not on"):
            grid.values("density", 0, (3, 3, 3))
        with pytest.raises(InputError, match="on which grid"):
            functions.values("density", 0)


def test_what_deforms_no_crystal_is_named(surrogate: Surrogate, tmp_path: Path) -> None:
    crystal, good = surrogate.crystal, np.eye(3)
    for bad, reason in ((-good, "determinant"), (good * np.nan, "determinant"), (3 * good, "λa = 3 is outside")):
        with pytest.raises(InputError, match=f"deformation gradient 1.*{reason}"):
            strains_of_gradients(np.array([good, bad]), crystal)
        with pytest.raises(InputError):
            write_predictor(tmp_path / "x.nc", surrogate, np.array([good, bad]))
    with pytest.raises(InputError, match="--field spin: this model knows density"):
        write_predictor(tmp_path / "x.nc", surrogate, good[None], fields=["spin"])
    with pytest.raises(InputError, match="GiB"):
        write_predictor(tmp_path / "x.nc", surrogate, good[None], grid=(1000, 1000, 1000))
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_stays_until_the_new_one_is_complete(
    surrogate: Surrogate, gradients: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "x.nc"
    path.write_bytes(b"older")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictor(path, surrogate, gradients, on_progress=stop)
    assert [p.name for p in tmp_path.iterdir()] == ["x.nc"] and path.read_bytes() == b"older"
    with pytest.raises(StoreError):
        write_predictor(tmp_path / "none" / "x.nc", surrogate, gradients)


def test_other_files_are_refused(tmp_path: Path, compact: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        predictor.read(tmp_path / "none.nc")
    (tmp_path / "x.nc").write_bytes(b"nonsense")
    with pytest.raises(CorruptFileError):
        predictor.read(tmp_path / "x.nc")
    with predictor.read(compact) as file:
        with pytest.raises(InputError, match="holds no spin"):
            file.numbers("spin")
        with pytest.raises(InputError, match="element 7"):
            file.element(7)


def test_files_of_gradients(tmp_path: Path, gradients: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", gradients)
    np.savez(tmp_path / "b.npz", F=gradients)
    np.savetxt(tmp_path / "c.csv", gradients.reshape(-1, 9), delimiter=",", fmt="%.17g", header="F11,F12", comments="")
    (tmp_path / "marked.csv").write_bytes(
        b"\xef\xbb\xbf" + b"\n".join((tmp_path / "c.csv").read_bytes().split(b"\n")[1:])
    )
    for name in ("a.npy", "b.npz", "c.csv", "marked.csv"):
        np.testing.assert_array_equal(read_gradients(tmp_path / name), gradients)
    np.save(tmp_path / "d.npy", gradients[0])
    np.save(tmp_path / "e.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "f.csv").write_text("a,b\n1,2\n1,x\n")
    (tmp_path / "g.csv").write_text("")
    (tmp_path / "typo.csv").write_text("1.O1,0,0,0,1,0,0,0,1\n1,0,0,0,1,0,0,0,1\n")
    np.savez(tmp_path / "h.npz", a=gradients, b=gradients)
    for name, reason in {
        "d.npy": r"shape \(3, 3\)",
        "e.npy": "cannot be read",
        "f.csv": "cannot be read",
        "g.csv": "shape",
        "typo.csv": "cannot be read",
        "h.npz": "2 arrays",
        "none.npy": "cannot be read",
        "x.txt": "must end in",
    }.items():
        with pytest.raises(InputError, match=reason):
            read_gradients(tmp_path / name)
