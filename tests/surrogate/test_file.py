"""A saved surrogate is the same surrogate; a damaged file is refused, whatever was damaged."""

from __future__ import annotations

import os

import numpy as np
import pytest
from safetensors.numpy import save_file

from cellfields.crystal import Crystal
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import CorruptFileError, InputError
from cellfields.surrogate import Surrogate, _file
from tests.surrogate.samples import TINY, draw
from tests.toy import ToyEngine


@pytest.fixture
def path(surrogate, tmp_path):
    surrogate.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_what_is_loaded_is_what_was_saved(surrogate, path, unseen):
    loaded = Surrogate.load(path)
    assert loaded.crystal == surrogate.crystal
    assert loaded.recipe == surrogate.recipe
    assert loaded.metadata == surrogate.metadata
    for deformation in unseen:
        one, two = surrogate.solve(deformation), loaded.solve(deformation)
        assert one.provenance == two.provenance
        np.testing.assert_allclose(one.free_energy, two.free_energy, rtol=1e-14)
        np.testing.assert_allclose(one.stress, two.stress, rtol=1e-12, atol=1e-18)
        for name in one.fields.coefficients:
            np.testing.assert_array_equal(one.fields.vector(name), two.fields.vector(name))
        for name in ("internal", "band_energy", "entropic_energy", "fermi_energy"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_files_of_before_quantities_could_be_missing_are_read(surrogate, path, unseen):
    tensors, content = _file.read_model(path)
    del content["numbers"]
    content["has_fermi_energy"] = True
    _file.write_model(path, tensors, content)
    loaded = Surrogate.load(path)
    assert loaded.encoding.numbers == surrogate.encoding.numbers
    assert loaded.solve(unseen[0]).fermi_energy == pytest.approx(surrogate.solve(unseen[0]).fermi_energy, rel=1e-14)


def test_the_identity_of_the_labels_travels_along(crystal, states, tmp_path):
    table = {"engine": "toy", "settings": {"cutoff": 2.0, "kmesh": [1, 2, 3]}}
    trained = Surrogate.train(crystal, states[:10], TINY, identity=EngineIdentity(table))
    trained.save(tmp_path / "m.safetensors")
    assert Surrogate.load(tmp_path / "m.safetensors").labelled_by == EngineIdentity(table)


def test_the_same_surrogate_gives_the_same_bytes_and_leaves_nothing_else(surrogate, path):
    before = path.read_bytes()
    surrogate.save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.9999])
def test_a_truncated_file_is_refused(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CorruptFileError, match="truncated"):
        Surrogate.load(path)


def test_a_changed_byte_anywhere_is_noticed(path):
    data = path.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(0)
    for position in [*range(9), *rng.integers(9, header, 60), *rng.integers(header, len(data), 20), len(data) - 1]:
        damaged = bytearray(data)
        damaged[position] ^= 1 << int(rng.integers(7))
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"truncated|altered|not a cellfields|not a surrogate|format version"):
            Surrogate.load(path)


def test_other_files_are_refused_by_what_they_are(path, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        Surrogate.load(tmp_path / "nothing.safetensors")
    path.write_text("[crystal]\n")
    with pytest.raises(CorruptFileError, match="not a safetensors file"):
        Surrogate.load(path)
    save_file({"weights": np.ones(3)}, path, metadata={"format": "pt"})
    with pytest.raises(CorruptFileError, match="not a cellfields surrogate"):
        Surrogate.load(path)


def test_a_newer_format_is_refused_by_its_number(path, monkeypatch):
    tensors, content = _file.read_model(path)
    with monkeypatch.context() as patch:
        patch.setattr(_file, "VERSION", 2)
        _file.write_model(path, tensors, content)
    with pytest.raises(InputError, match="format version 2"):
        Surrogate.load(path)


@pytest.mark.parametrize(
    "tensor", ["reduction.density.modes", "network.free_energy.kernel.1", "domain.whitening", "basis.indices"]
)
@pytest.mark.parametrize("change", ["shape", "missing"])
def test_sealed_nonsense_is_still_nonsense(path, tensor, change):
    """The sum is right, the content is not: shapes are checked by themselves."""
    tensors, content = _file.read_model(path)
    if tensor not in tensors:  # "best" has no network; its trend stands in
        tensor = "network.free_energy.trend"
    if change == "missing":
        del tensors[tensor]
    else:
        tensors[tensor] = tensors[tensor][:-1, :-1]
    _file.write_model(path, tensors, content)
    with pytest.raises(CorruptFileError, match="does not hold a complete surrogate"):
        Surrogate.load(path)


def test_a_folder_that_does_not_exist_is_named(surrogate, tmp_path):
    with pytest.raises(InputError, match=r"folder .*nowhere does not exist"):
        surrogate.save(tmp_path / "nowhere" / "m.safetensors")


def test_a_crystal_taken_without_its_translations_stays_so(crystal, tmp_path):
    plain = Crystal(crystal.lattice_ref, crystal.species, crystal.positions_ref, symmetry=False)
    states = map(ToyEngine(plain, 1.0).solve, draw(plain, 4))
    Surrogate.train(plain, states, TINY).save(tmp_path / "m.safetensors")
    loaded = Surrogate.load(tmp_path / "m.safetensors")
    assert loaded.crystal.n_internal == plain.n_internal == 6
    assert loaded.solve(draw(plain, 1)[0]).internal.shape == (6,)
