"""The authors' data: read as what they are, and one sentence where something is missing or damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellfields.errors import CorruptFileError, InputError
from cellfields.evaluation.metrics import PAPER_GRID
from cellfields.reproductions.teh2021.published import (
    ERRORS,
    FIGURE_2,
    PSEUDOPOTENTIAL,
    Published,
    difference_in_fields,
)
from cellfields.state import CellState
from cellfields.state.fields import FIELD_NAMES
from cellfields.state.quantities import quantity
from tests.reproductions.teh2021.toy_plan import draw
from tests.toy import ToyEngine, magnesium

STRAINS = draw(5, 7)


def table() -> dict[str, np.ndarray]:
    """As theirs: each array starts at another number, so that none can be taken for another."""
    names = [f"{f}/{m}/{e}" for f in FIELD_NAMES for m in ("ml", "pca", "linear") for e in ("rse", "nrmse")]
    names += ["positions/ml/displacement_error_bohr", "positions/true_displacement_bohr"]
    numbers = {name: 100.0 * k + np.arange(len(STRAINS)) for k, name in enumerate(names)}
    return numbers | {"D": np.array([strain.as_array() for strain in STRAINS])}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.savez(tmp_path / ERRORS, **table())
    (tmp_path / PSEUDOPOTENTIAL).write_text("theirs")
    return tmp_path


def one_sentence(error: BaseException, *words: str) -> None:
    assert "\n" not in str(error) and all(word in str(error) for word in words), str(error)


def test_numbers_are_where_they_belong(folder: Path) -> None:
    published, numbers = Published.load(folder), table()
    assert published.deformations == STRAINS and published.pseudopotential == folder / PSEUDOPOTENTIAL
    np.testing.assert_array_equal(published.displacement, numbers["positions/true_displacement_bohr"])
    chosen = (STRAINS[3], STRAINS[1])
    found = published.engine_errors(chosen)
    assert list(found) == ["published network", "published PCA floor", "published linear"]
    network, floor = found["published network"].errors, found["published PCA floor"].errors
    np.testing.assert_array_equal(network["density.relative_l2"], numbers["density/ml/rse"][[3, 1]])
    np.testing.assert_array_equal(floor["entropy_density.nrmse"], numbers["entropy_density/pca/nrmse"][[3, 1]])
    np.testing.assert_array_equal(network["position"], numbers["positions/ml/displacement_error_bohr"][[3, 1]])
    assert "position" not in floor  # they gave it for the network alone
    assert np.isnan(found["published linear"].seconds).all()


def test_strains_that_are_not_theirs_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="1 of these strains are not among the published ones"):
        Published.load(folder).rows([STRAINS[0], draw(1, 8)[0]])


@pytest.mark.parametrize("missing", [ERRORS, PSEUDOPOTENTIAL])
def test_a_missing_file_is_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(InputError) as refusal:
        Published.load(folder)
    one_sentence(refusal.value, "--reference", missing)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "pickle"])
def test_a_damaged_table_is_one_sentence(folder: Path, damage: str) -> None:
    path = folder / ERRORS
    content = {"truncated": path.read_bytes()[:-200], "text": b"D = 1, 1, 1", "empty": b""}
    if damage == "pickle":
        np.savez(path, **{**table(), "D": np.array([{"a": 1}], dtype=object)})
    else:
        path.write_bytes(content[damage])
    with pytest.raises(CorruptFileError) as refusal:
        Published.load(folder)
    one_sentence(refusal.value, ERRORS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("density/pca/rse", None),  # not there
        ("positions/true_displacement_bohr", np.zeros(4)),  # one number short
        ("D", np.ones((5, 5))),
        ("D", np.full((5, 6), 1.57)),  # radians
    ],
)
def test_a_table_that_lacks_something_is_one_sentence(folder: Path, name: str, value: np.ndarray | None) -> None:
    numbers = table()
    numbers.pop(name)
    np.savez(folder / ERRORS, **numbers, **({} if value is None else {name: value}))
    with pytest.raises(CorruptFileError) as refusal:
        Published.load(folder)
    one_sentence(refusal.value, ERRORS)


def theirs(state: CellState) -> dict[str, np.ndarray]:
    """A state's fields as the authors keep theirs: z, y, x; densities times a grid cell's volume; φ not centred."""
    assert state.fields is not None
    arrays = {}
    for name in FIELD_NAMES:
        values = state.fields.on_grid(name, PAPER_GRID)
        values = values * state.volume / values.size if quantity(name).times_volume else values + 0.3
        arrays[name] = values.transpose(2, 1, 0).ravel()
    return arrays


def test_figure_2_is_found_again(folder: Path) -> None:
    assert Published.load(folder).figure_2() is None  # an optional file
    state = ToyEngine(magnesium(), field_cutoff=3.0).solve(STRAINS[2])
    np.savez(folder / FIGURE_2, D=STRAINS[2].as_array(), **theirs(state))
    found = Published.load(folder).figure_2()
    assert found is not None and found[0] == STRAINS[2]
    differences = difference_in_fields(state, found[1])
    assert set(differences) == set(FIELD_NAMES) and max(differences.values()) < 1e-12
    wrong = replace(state.fields, coefficients={n: 1.02 * c for n, c in state.fields.coefficients.items()})  # type: ignore[union-attr, type-var]
    off = difference_in_fields(replace(state, fields=wrong), found[1])
    assert list(off.values()) == pytest.approx([0.02] * 4)


@pytest.mark.parametrize("damage", ["D", "density", "length"])
def test_a_damaged_figure_2_is_one_sentence(folder: Path, damage: str) -> None:
    arrays = {"D": STRAINS[2].as_array()} | {name: np.zeros(int(np.prod(PAPER_GRID))) for name in FIELD_NAMES}
    if damage == "length":
        arrays["density"] = np.zeros(7)
    else:
        del arrays[damage]
    np.savez(folder / FIGURE_2, **arrays)
    with pytest.raises(CorruptFileError) as refusal:
        Published.load(folder).figure_2()
    one_sentence(refusal.value, FIGURE_2)
