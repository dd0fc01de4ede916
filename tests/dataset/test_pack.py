"""A packed dataset comes back: exactly where that is promised, and elsewhere within the error that the file states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.dataset import DatasetStore, label
from cellfields.dataset.pack import TOLERANCE, pack, read_pack, unpack
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import CorruptFileError, InputError, SCFNotConverged, SettingsMismatchError
from cellfields.state import CellState
from cellfields.state.fields import FIELD_NAMES, ElectronicFields, FourierBasis
from cellfields.storage.sealed import unseal
from tests.toy import ToyEngine, magnesium

TABLE = {"engine": "toy", "settings": {"cutoff": 4.0}}
EXACT = ("lattice", "positions", "internal", "stress", "forces")
ENERGIES = ("free_energy", "band_energy", "entropic_energy", "fermi_energy", "energy_terms", "deformation")


class CountingToy(ToyEngine):
    """Settings of its own, and a count of its solves."""

    solved = 0

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity(TABLE)

    def solve(self, deformation: Deformation, *, start: object = None) -> CellState:
        CountingToy.solved += 1
        return super().solve(deformation, start=start)


def strains(crystal: Crystal, count: int = 7) -> list[Deformation]:
    return sample_deformations(crystal, count, seed=5, stretch_sigma=0.02, angle_sigma=1.0)


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    crystal = magnesium()
    store = DatasetStore.create_or_open(tmp_path / "dataset", crystal, TABLE)
    for state in map(ToyEngine(crystal).solve, strains(crystal)):
        store.write(replace(state, forces=np.arange(12.0).reshape(4, 3) / 7))
    return store


def relative(packed: CellState, true: CellState, name: str) -> float:
    assert packed.fields is not None and true.fields is not None
    vector = true.fields.vector(name)
    return float(np.linalg.norm(packed.fields.vector(name) - vector) / np.linalg.norm(vector))


def pairs(store: DatasetStore, other: DatasetStore) -> Iterator[tuple[CellState, CellState]]:
    assert [store.key(s.deformation) for s in store.states()] == [other.key(s.deformation) for s in other.states()]
    return zip(store.states(), other.states(), strict=True)


@pytest.mark.parametrize("options", [{}, {"tolerance": 0.0}, {"tolerance": 1e-2}, {"cutoff": 1.5}, {"modes": 3}])
def test_what_is_promised_exactly_is_exact_and_the_stated_errors_are_the_errors(
    store: DatasetStore, tmp_path: Path, options: dict[str, float]
) -> None:
    content = pack(store, tmp_path / "mg.pack", **options)  # type: ignore[arg-type]
    back = unpack(tmp_path / "mg.pack", tmp_path / "back")
    errors: dict[str, list[float]] = {name: [] for name in FIELD_NAMES}
    for true, state in pairs(store, back):
        for name in EXACT:
            np.testing.assert_array_equal(getattr(state, name), getattr(true, name))
        for name in ENERGIES:
            assert getattr(state, name) == getattr(true, name)
        assert {**state.provenance, "packed": None} == {**true.provenance, "packed": None}
        assert state.fields is not None and true.fields is not None
        assert state.fields.volume == true.fields.volume
        assert state.fields.basis.same_as(true.fields.basis)
        for name in FIELD_NAMES:
            assert state.fields.integral(name) == true.fields.integral(name)
            errors[name].append(relative(state, true, name))
        (note,) = state.provenance["packed"]
        assert note["fields"]["density"] == content.fields["density"].model_dump()
    for name, found in content.fields.items():
        assert found.relative_l2_mean == pytest.approx(np.mean(errors[name]), rel=1e-6)
        assert found.relative_l2_max == pytest.approx(max(errors[name]), rel=1e-6)
        assert found.states == 7
        if "modes" not in options and "cutoff" not in options:
            assert found.relative_l2_max <= options.get("tolerance", TOLERANCE) + 1e-7
        if "cutoff" in options:
            assert found.relative_l2_max > 1e-4  # it does cut something, or the test would show nothing


def test_the_cutoff_is_the_smallest_that_meets_the_tolerance(store: DatasetStore, tmp_path: Path) -> None:
    content = pack(store, tmp_path / "a", tolerance=1e-2)
    cutoffs = {name: found.cutoff for name, found in content.fields.items()}
    for name, cutoff in cutoffs.items():
        below = pack(store, tmp_path / "b", cutoff=cutoff - 1e-6).fields[name]
        assert below.coefficients < content.fields[name].coefficients
        assert below.relative_l2_max > 1e-2
    assert len(set(cutoffs.values())) > 1  # each field has its own


def test_modes_are_the_best_that_there_are(store: DatasetStore, tmp_path: Path) -> None:
    """Against the singular value decomposition of the same data, taken whole."""
    content = pack(store, tmp_path / "mg.pack", tolerance=0, modes=2)
    for name in FIELD_NAMES:
        vectors = np.array([state.fields.vector(name) for state in store.states() if state.fields is not None])
        centred = vectors - vectors.mean(axis=0)
        centred[:, 0] = 0  # the integral is kept beside
        _, singular, modes = np.linalg.svd(centred, full_matrices=False)
        left_out = np.linalg.norm(centred - centred @ modes[:2].T @ modes[:2], axis=1) / np.linalg.norm(vectors, axis=1)
        assert content.fields[name].modes == 2
        assert content.fields[name].relative_l2_mean == pytest.approx(np.mean(left_out), rel=2e-2, abs=1e-7)
        assert content.fields[name].relative_l2_max == pytest.approx(max(left_out), rel=2e-2, abs=1e-7)
        assert singular[2] > 0
    whole = pack(store, tmp_path / "mg.pack", tolerance=0, modes=100)
    assert all(found.modes is not None and found.modes <= 7 for found in whole.fields.values())
    assert all(found.relative_l2_max < 1e-6 for found in whole.fields.values())


def test_the_file_is_smaller_by_what_the_options_say_and_the_same_every_time(
    store: DatasetStore, tmp_path: Path
) -> None:
    sizes = {}
    for name, options in (("all", {"tolerance": 0.0}), ("few", {"cutoff": 1.0}), ("modes", {"modes": 1})):
        pack(store, tmp_path / name, **options)  # type: ignore[arg-type]
        first = (tmp_path / name).read_bytes()
        pack(store, tmp_path / name, **options)  # type: ignore[arg-type]
        assert (tmp_path / name).read_bytes() == first
        sizes[name] = len(first)
    assert sizes["few"] < sizes["all"] < 0.62 * store.info().bytes_on_disk
    _, tensors = unseal((tmp_path / "modes").read_bytes(), "packed dataset", "it")
    assert tensors["field.density.coefficients"].shape == (7, 1)


def test_a_campaign_goes_on_in_what_was_unpacked(store: DatasetStore, tmp_path: Path) -> None:
    pack(store, tmp_path / "mg.pack", modes=2)
    back = unpack(tmp_path / "mg.pack", tmp_path / "back")
    assert back.info().engine_hash == store.info().engine_hash
    assert back.info().crystal_hash == store.info().crystal_hash
    engine, before = CountingToy(magnesium()), CountingToy.solved
    summary = label(back, engine, strains(engine.crystal, 9))
    assert (summary.skipped, summary.solved) == (7, 2)
    assert CountingToy.solved == before + 2
    bases = {state.fields.basis.size for state in back.states() if state.fields is not None}
    assert len(bases) == 1  # solved and unpacked states can be trained on together


def test_states_that_are_there_already_are_kept(store: DatasetStore, tmp_path: Path) -> None:
    content = pack(store, tmp_path / "mg.pack", cutoff=1.0)
    files = {path: path.read_bytes() for path in store.directory.rglob("*.safetensors")}
    unpack(tmp_path / "mg.pack", store.directory)
    assert files == {path: path.read_bytes() for path in store.directory.rglob("*.safetensors")}
    victim = next(path for path in files if path.parent.name == "states")
    victim.unlink()
    unpack(tmp_path / "mg.pack", store.directory)
    restored = [state for state in store.states() if "packed" in state.provenance]
    assert len(restored) == 1
    assert content.fields["density"].relative_l2_max > 0


def test_packing_again_says_both(store: DatasetStore, tmp_path: Path) -> None:
    pack(store, tmp_path / "one", cutoff=3.0)
    once = unpack(tmp_path / "one", tmp_path / "back")
    second = pack(once, tmp_path / "two", cutoff=1.0)
    twice = unpack(tmp_path / "two", tmp_path / "again")
    notes = next(iter(twice.states())).provenance["packed"]
    assert [note["fields"]["density"]["cutoff"] for note in notes] == [3.0, 1.0]
    assert second.fields["density"].relative_l2_max > 0


def test_what_is_missing_stays_missing(tmp_path: Path) -> None:
    crystal = magnesium()
    store = DatasetStore.create_or_open(tmp_path / "dataset", crystal, TABLE)
    full, bare, dense, blank = map(ToyEngine(crystal).solve, strains(crystal, 4))
    assert dense.fields is not None
    only_density = {"density": dense.fields.coefficients["density"]}
    fields = ElectronicFields(dense.fields.basis, only_density, dense.fields.volume)
    store.write(full)
    store.write(replace(bare, fields=None, stress=None, band_energy=None, energy_terms={}))
    store.write(replace(dense, fields=fields, entropic_energy=None, energy_terms={"other": 1.0}))
    nowhere = replace(blank, positions=np.full((4, 3), np.nan), internal=np.full(3, np.nan), free_energy=np.nan)
    store.write(replace(nowhere, unknown=frozenset({"internal", "free_energy"}), fields=None))
    store.record_failure(strains(crystal, 5)[4], SCFNotConverged("no", [{"residual": 1.0}]))
    content = pack(store, tmp_path / "mg.pack")
    assert {name: found.states for name, found in content.fields.items()} == {
        "density": 2,
        "coulomb_potential": 1,
        "band_energy_density": 1,
        "entropy_density": 1,
    }
    back = unpack(tmp_path / "mg.pack", tmp_path / "back")
    for true, state in pairs(store, back):
        for name in ("band_energy", "entropic_energy", "energy_terms", "deformation", "forces", "unknown"):
            assert getattr(state, name) == getattr(true, name)
        for name in ("free_energy", "positions", "internal"):
            np.testing.assert_array_equal(getattr(state, name), getattr(true, name))
        assert (state.stress is None) == (true.stress is None)
        assert (state.fields is None) == (true.fields is None)
        if state.fields is not None and true.fields is not None:
            assert state.fields.coefficients.keys() == true.fields.coefficients.keys()
        else:
            assert "packed" not in state.provenance
    assert [f.to_dict() for f in back.failures()] == [f.to_dict() for f in store.failures()]
    assert len(back.failures()) == 1


def test_a_dataset_without_fields(tmp_path: Path) -> None:
    crystal = magnesium()
    store = DatasetStore.create_or_open(tmp_path / "dataset", crystal, TABLE)
    for state in map(ToyEngine(crystal).solve, strains(crystal, 3)):
        store.write(replace(state, fields=None))
    content = pack(store, tmp_path / "mg.pack", modes=2)
    assert content.fields == {}
    back = unpack(tmp_path / "mg.pack", tmp_path / "back")
    assert [s.free_energy for s in back.states()] == [s.free_energy for s in store.states()]


def test_complex_coefficients_and_a_field_that_is_zero(tmp_path: Path) -> None:
    crystal = Crystal(np.diag([5.0, 6.0, 7.0]), ["Ga", "As", "Al"], [[0, 0, 0], [0.3, 0.2, 0.1], [0.7, 0.5, 0.25]])
    store = DatasetStore.create_or_open(tmp_path / "dataset", crystal, TABLE)
    basis = FourierBasis.for_crystal(crystal, 4.0)
    assert not basis.real
    rng = np.random.default_rng(0)
    for strain in strains(crystal, 4):
        lattice = strain.lattice(crystal)
        values = rng.normal(size=basis.size) + 1j * rng.normal(size=basis.size)
        values[0] = 13.0
        fields = {"density": values, "entropy_density": np.zeros(basis.size, complex)}
        state = CellState(
            deformation=strain,
            lattice=lattice,
            positions=crystal.positions_ref,
            internal=np.zeros(crystal.n_internal),
            free_energy=-1.0,
            fields=ElectronicFields(basis, fields, float(np.linalg.det(lattice))),
        )
        store.write(state)
    content = pack(store, tmp_path / "p", tolerance=0.5)
    assert 0.05 < content.fields["density"].relative_l2_max <= 0.5
    assert content.fields["entropy_density"].coefficients == 1
    assert content.fields["entropy_density"].relative_l2_max == 0
    back = unpack(tmp_path / "p", tmp_path / "back")
    for true, state in pairs(store, back):
        assert state.fields is not None
        assert state.fields.integral("density") == 13.0
        assert relative(state, true, "density") <= 0.5
    modes = pack(store, tmp_path / "p", tolerance=0, modes=3)  # three differences of four states are all there is
    assert modes.fields["density"].relative_l2_max < 1e-6
    assert modes.fields["entropy_density"].modes == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tolerance": -1e-3}, "tolerance = -0.001"),
        ({"tolerance": float("nan")}, "tolerance = nan"),
        ({"tolerance": 1.0}, "tolerance = 1"),
        ({"cutoff": 0.0}, "cutoff = 0"),
        ({"cutoff": float("inf")}, "cutoff = inf"),
        ({"modes": 0}, "modes = 0"),
        ({"cutoff": 3.0, "tolerance": 0.1}, "exclude each other"),
    ],
)
def test_bad_options(store: DatasetStore, tmp_path: Path, options: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        pack(store, tmp_path / "p", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "p").exists()


def test_an_empty_dataset_and_different_bases_are_refused(tmp_path: Path) -> None:
    crystal = magnesium()
    store = DatasetStore.create_or_open(tmp_path / "dataset", crystal, TABLE)
    with pytest.raises(InputError, match="no states"):
        pack(store, tmp_path / "p")
    for cutoff, strain in zip((2.0, 3.0), strains(crystal), strict=False):
        store.write(ToyEngine(crystal, cutoff).solve(strain))
    with pytest.raises(InputError, match="different Fourier bases"):
        pack(store, tmp_path / "p")


def test_numbers_beyond_single_precision_are_refused(tmp_path: Path) -> None:
    crystal = magnesium()
    store = DatasetStore.create_or_open(tmp_path / "dataset", crystal, TABLE)
    state = ToyEngine(crystal).solve(strains(crystal)[0])
    assert state.fields is not None
    huge = {"density": np.full(state.fields.basis.size, 1e39)}
    store.write(replace(state, fields=ElectronicFields(state.fields.basis, huge, state.fields.volume)))
    with pytest.raises(InputError, match="single precision"):
        pack(store, tmp_path / "p")


def test_unpacking_into_another_dataset_is_refused(store: DatasetStore, tmp_path: Path) -> None:
    pack(store, tmp_path / "mg.pack")
    DatasetStore.create_or_open(tmp_path / "other", magnesium(), {"engine": "another"})
    with pytest.raises(SettingsMismatchError):
        unpack(tmp_path / "mg.pack", tmp_path / "other")


def test_damage_is_noticed_before_anything_is_written(store: DatasetStore, tmp_path: Path) -> None:
    pack(store, tmp_path / "mg.pack")
    data = (tmp_path / "mg.pack").read_bytes()
    for damaged in (data[:-1], data[:1000], data[:-3] + bytes([data[-3] ^ 1]) + data[-2:], b""):
        (tmp_path / "bad.pack").write_bytes(damaged)
        with pytest.raises(CorruptFileError):
            unpack(tmp_path / "bad.pack", tmp_path / "back")
    with pytest.raises(InputError, match="cannot read"):
        read_pack(tmp_path / "none.pack")
    assert not (tmp_path / "back").exists()


def test_reading_needs_no_directory(store: DatasetStore, tmp_path: Path) -> None:
    pack(store, tmp_path / "mg.pack")
    content = read_pack(tmp_path / "mg.pack")
    assert len(content) == 7
    assert content.crystal == store.crystal
    assert content.identity.table == TABLE
    assert content.to_dict()["fields"]["density"]["states"] == 7
    keys = [store.key(state.deformation) for state in content.states()]
    assert keys == [store.key(state.deformation) for state in store.states()]
