"""A state comes back exactly; any other bytes are one typed error."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load

from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dataset._codec import basis_hash, decode_basis, decode_state, encode_basis, encode_state
from cellfields.errors import CorruptFileError, InputError
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields, FourierBasis
from cellfields.storage.sealed import _END, _START, MAX_FILE, seal, unseal
from tests.toy import ToyEngine, magnesium


@cache
def magnesium_state() -> CellState:
    return ToyEngine(magnesium(), 2.0).solve(Deformation((1.01, 0.98, 1.03), (90.5, 89.0, 91.25)))


@cache
def polar_state() -> CellState:
    """A crystal without inversion centre: complex coefficients, no energies but F, forces known."""
    crystal = Crystal(np.diag([5.0, 6.0, 7.0]), ["Ga", "As", "Al"], [[0, 0, 0], [0.3, 0.2, 0.1], [0.7, 0.5, 0.25]])
    deformation = Deformation((1.0, 1.02, 0.97), (90.0, 88.0, 90.0))
    basis = FourierBasis.for_crystal(crystal, 2.0)
    assert not basis.real
    rng = np.random.default_rng(0)
    density = rng.normal(size=basis.size) + 1j * rng.normal(size=basis.size)
    lattice = deformation.lattice(crystal)
    return CellState(
        deformation=deformation,
        lattice=lattice,
        positions=crystal.positions_ref,
        internal=np.zeros(crystal.n_internal),
        free_energy=-0.1,
        forces=rng.normal(size=(3, 3)),
        fields=ElectronicFields(basis, {"density": density}, float(np.linalg.det(lattice))),
        provenance={"pid": np.int64(3), "residuals": [np.float64(0.5), float("inf")], "nested": {"ok": True}},
    )


def decoded(state: CellState, data: bytes) -> CellState:
    assert state.fields is not None
    basis = state.fields.basis
    return decode_state(data, bases={basis_hash(basis): basis}.__getitem__)


@pytest.mark.parametrize("make", [magnesium_state, polar_state])
def test_round_trip_is_exact(make: type[CellState]) -> None:
    state = make()
    back = decoded(state, encode_state(state))
    for entry in dataclass_fields(CellState):
        before, after = getattr(state, entry.name), getattr(back, entry.name)
        if isinstance(before, np.ndarray):
            assert before.tobytes() == after.tobytes() and before.shape == after.shape
        elif entry.name not in ("fields", "provenance"):
            assert before == after
    assert state.fields is not None and back.fields is not None
    assert back.fields.volume == state.fields.volume
    assert sorted(back.fields.coefficients) == sorted(state.fields.coefficients)
    for name, values in state.fields.coefficients.items():
        assert values.dtype == back.fields.coefficients[name].dtype
        assert values.tobytes() == back.fields.coefficients[name].tobytes()


def test_provenance_becomes_plain_data_and_numbers_that_blew_up_keep_their_name() -> None:
    back = decoded(polar_state(), encode_state(polar_state()))
    assert back.provenance == {"pid": 3, "residuals": [0.5, "inf"], "nested": {"ok": True}}


def test_equal_states_give_equal_bytes_and_other_tools_can_open_them() -> None:
    state = magnesium_state()
    data = encode_state(state, record={"input": "abc"})
    assert data == encode_state(state, record={"input": "abc"})
    arrays = load(data)
    assert np.array_equal(arrays["lattice"], state.lattice)
    assert state.fields is not None
    assert np.array_equal(arrays["fields.density"], state.fields.coefficients["density"])
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    blank = data[:_START] + b"0" * 64 + data[_END:]
    assert header["seal"] == hashlib.sha256(blank).hexdigest()  # the seal is what the documentation says it is
    assert json.loads(header["header"])["energies"]["free_energy"] == state.free_energy


def test_what_is_unknown_is_nan_and_only_where_that_is_said() -> None:
    unknown = {"free_energy": np.nan, "positions": np.full((3, 3), np.nan), "internal": np.full(6, np.nan)}
    state = replace(polar_state(), **unknown, unknown=frozenset({"free_energy", "internal"}))
    back = decoded(state, encode_state(state))
    assert back.unknown == state.unknown
    assert not any(back.knows(name) for name in unknown)
    for name, value in unknown.items():
        np.testing.assert_array_equal(getattr(back, name), value)
    assert unknown.keys().isdisjoint(back.to_dict())
    for change in (
        {"unknown": frozenset({"free_energy"})},  # nan positions that nobody said were unknown
        {"unknown": frozenset({"internal"})},
        {"unknown": frozenset({"free_energy", "internal", "stress"})},
        {"positions": np.zeros((3, 3))},
    ):
        with pytest.raises(InputError):
            encode_state(replace(state, **change))


def test_a_state_without_fields_needs_no_dataset() -> None:
    state = replace(magnesium_state(), fields=None)
    assert decode_state(encode_state(state)).free_energy == state.free_energy


def test_a_state_with_fields_is_refused_without_its_dataset() -> None:
    with pytest.raises(InputError, match="open the dataset directory instead"):
        decode_state(encode_state(magnesium_state()))


def test_a_state_that_belongs_elsewhere_is_refused() -> None:
    data = encode_state(replace(magnesium_state(), fields=None), record={"input": "a", "engine": "b"})
    assert decode_state(data, record={"input": "a"}).free_energy == magnesium_state().free_energy
    with pytest.raises(CorruptFileError, match="its engine hash is another one"):
        decode_state(data, record={"input": "a", "engine": "c"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"free_energy": float("nan")}, "free_energy = nan"),
        ({"free_energy": None}, "free_energy = None"),
        ({"energy_terms": {"ewald": float("inf")}}, "energy_terms.ewald"),
        ({"stress": np.full((3, 3), np.nan)}, "stress of a state must be"),
        ({"forces": np.zeros((3, 3))}, r"forces of a state must be \(4, 3\)"),
        ({"positions": np.zeros(4)}, "positions of a state must be"),
        ({"provenance": {"engine": object()}}, "provenance.engine is a object"),
    ],
)
def test_what_is_no_result_is_not_sealed(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode_state(replace(magnesium_state(), **change))


def test_fields_must_fit_their_basis() -> None:
    fields = magnesium_state().fields
    assert fields is not None
    short = {"density": fields.coefficients["density"][:-1]}
    with pytest.raises(InputError, match="field 'density' of a state must be"):
        encode_state(replace(magnesium_state(), fields=replace(fields, coefficients=short)))
    odd = {"density": fields.coefficients["density"] * 1j}
    with pytest.raises(InputError, match="complex coefficients"):
        encode_state(replace(magnesium_state(), fields=replace(fields, coefficients=odd)))
    coarse = FourierBasis.for_crystal(magnesium(), 1.0)
    with pytest.raises(CorruptFileError, match="do not fit their Fourier basis"):
        decode_state(encode_state(magnesium_state()), bases=lambda _: coarse)


def test_basis_round_trip_and_its_hash() -> None:
    for state in (magnesium_state(), polar_state()):
        assert state.fields is not None
        basis = state.fields.basis
        back = decode_basis(encode_basis(basis), expected=basis_hash(basis))
        assert back.same_as(basis)
        nudged = replace(basis, origin=basis.origin + 1e-15)
        assert basis_hash(nudged) == basis_hash(basis)  # another machine's last bit is not another basis
        for other in (replace(basis, origin=basis.origin + 1e-3), replace(basis, real=not basis.real)):
            assert basis_hash(other) != basis_hash(basis)
            with pytest.raises(CorruptFileError, match="another Fourier basis"):
                decode_basis(encode_basis(other), expected=basis_hash(basis))


def test_every_truncation_is_refused() -> None:
    data = encode_state(magnesium_state())
    for length in [*range(200), *range(200, len(data), 37), len(data) - 1]:
        with pytest.raises(CorruptFileError):
            decoded(magnesium_state(), data[:length])
    with pytest.raises(CorruptFileError):
        decoded(magnesium_state(), data + b"\0")


def test_every_flipped_bit_is_refused() -> None:
    data = encode_state(magnesium_state())
    for index in [*range(300), *range(300, len(data), 29)]:
        altered = bytearray(data)
        altered[index] ^= 1 << index % 8
        with pytest.raises(CorruptFileError):
            decoded(magnesium_state(), bytes(altered))


def test_kinds_are_not_confused() -> None:
    basis = FourierBasis.for_crystal(magnesium(), 1.0)
    with pytest.raises(CorruptFileError, match="holds a 'Fourier basis', not a cell state"):
        decode_state(encode_basis(basis))
    with pytest.raises(CorruptFileError, match="not a file that cellfields sealed"):
        decode_state(b"PK\x03\x04 a zip file")


def resealed(data: bytes) -> bytes:
    """What somebody who knows the format would hand us."""
    view = data[:_START] + b"0" * 64 + data[_END:]
    return data[:_START] + hashlib.sha256(view).hexdigest().encode() + data[_END:]


mutations = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["set", "insert", "delete"]), st.binary(min_size=1, max_size=12)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(mutations=mutations, in_header=st.booleans(), forge=st.booleans())
def test_mutated_bytes_give_the_state_or_one_typed_error(
    mutations: list[tuple[float, str, bytes]], in_header: bool, forge: bool
) -> None:
    original = encode_state(magnesium_state())
    data = bytearray(original)
    reach = 8 + int.from_bytes(data[:8], "little") if in_header else len(data)
    for where, how, content in mutations:
        index = int(where * reach)
        data[index : index + (0 if how == "insert" else len(content))] = b"" if how == "delete" else content
    changed = bytes(data)
    if forge and len(changed) > _END:
        changed = resealed(changed)
    try:
        state = decoded(magnesium_state(), changed)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 400
    except KeyError:  # of the test's own table of bases: another hash was forged
        assert forge
    else:
        assert isinstance(state, CellState)
        assert forge or changed == original


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"format": 2},
        {"format": [[[]]]},
        {"format": 1, "record": {}, "deformation": [1.0], "energies": {}, "energy_terms": {}, "provenance": {}},
    ],
)
def test_forged_headers_are_one_typed_error(header: dict[str, object]) -> None:
    with pytest.raises(CorruptFileError):
        decode_state(seal("cell state", header, {"lattice": np.eye(3)}))


def test_forged_sizes_allocate_nothing() -> None:
    """A header length, a shape or a nesting depth that lies is noticed before anything is made for it."""
    data = seal("cell state", {}, {"lattice": np.eye(3)})
    length = data[:8]
    lying = [
        (2**62).to_bytes(8, "little") + data[8:],
        data.replace(b'"shape":[3,3]', b'"shape":[999999999999,3]'),
        data.replace(b'"data_offsets":[0,72]', b'"data_offsets":[0,720000000000]'),
        data.replace(b'"header":"{}"', b'"header":"' + b"[" * 100_000 + b'"'),
    ]
    for forged in lying:
        assert forged != data
        if forged[:8] == length:
            start = forged.index(b"}", forged.index(b"data_offsets")) + 2
            header = forged[8:start]
            header += b" " * (-len(header) % 8)
            forged = len(header).to_bytes(8, "little") + header + data[-72:]
        with pytest.raises(CorruptFileError):
            unseal(resealed(forged), "cell state", "the file")
    assert MAX_FILE < 2**31
