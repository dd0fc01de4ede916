"""Any bytes under any name of a dataset, or given as a model, are a result or one typed error.

file → flip, insert, delete, truncate, splice | edit the JSON and seal it again → read → object or CellFieldsError
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load

from cellfields.dataset import DatasetStore
from cellfields.dataset._codec import decode_state, encode_state
from cellfields.errors import CellFieldsError, InputError, SCFNotConverged
from cellfields.storage.json_tables import digest, loads
from cellfields.storage.sealed import _END, _START
from cellfields.surrogate import Recipe, Surrogate, _file
from cellfields.surrogate.network import Network, Regressor
from cellfields.surrogate.state_encoding import StateEncoding
from cellfields.surrogate.training_domain import TrainingDomain
from tests.dataset.engines import TABLE, strains
from tests.toy import ToyEngine, magnesium

KINDS = ("state", "basis", "description", "failure", "model")


# -- one file of each kind, and who reads it ------------------------------------------------------------------------


class Specimens:
    """A dataset with a state and a failure, and a model that nobody trained."""

    def __init__(self, folder: Path) -> None:
        crystal, (solved, failed, *others) = magnesium(), strains(4)
        states = list(map(ToyEngine(crystal, 1.0).solve, [solved, *others]))
        store = DatasetStore.create_or_open(folder / "set", crystal, TABLE)
        store.write(states[0])
        store.record_failure(failed, SCFNotConverged("no luck", [{"step": 1, "residual": 0.5}]))
        encoding = StateEncoding.fit(crystal, states, 2)
        rng = np.random.default_rng(0)
        regressors = {name: _untrained(encoding.width(name), rng) for name in encoding.quantities}
        domain = TrainingDomain.fit(np.array([state.deformation.as_array() for state in states]))
        Surrogate(encoding, regressors, domain, Recipe(), {"n_train": 3}).save(folder / "model")
        self.store, self.directory, self.solved = store, store.directory, solved
        self.state = replace(states[0], fields=None)
        self.paths = {
            "state": next((folder / "set" / "states").iterdir()),
            "basis": next((folder / "set" / "bases").iterdir()),
            "description": folder / "set" / "dataset.json",
            "failure": next((folder / "set" / "failures").iterdir()),
            "model": folder / "model",
        }
        self.bytes = {kind: path.read_bytes() for kind, path in self.paths.items()}

    def read(self, kind: str, data: bytes) -> object:
        """What a reader makes of a file of this kind that holds ``data``."""
        self.paths[kind].write_bytes(data)
        try:
            return self.read_as_it_is(kind)
        finally:
            self.paths[kind].write_bytes(self.bytes[kind])

    def read_as_it_is(self, kind: str) -> object:
        """What a reader makes of what is there."""
        if kind == "model":
            return Surrogate.load(self.paths[kind])
        store = DatasetStore.open(self.directory) if kind == "description" else replace(self.store, _bases={})
        return store.failures() if kind == "failure" else store.read(self.solved)


def _untrained(width: int, rng: np.random.Generator) -> Regressor:
    zeros, ones = np.zeros, np.ones
    network = Network.initialise([6, 3, width], rng)
    return Regressor(zeros(6), ones(6), zeros(width), ones(width), zeros((0, width)), network)


@pytest.fixture(scope="module")
def specimens(tmp_path_factory: pytest.TempPathFactory) -> Specimens:
    return Specimens(tmp_path_factory.mktemp("fuzz"))


def result_or_typed_error(specimens: Specimens, kind: str, data: bytes) -> object:
    """The result, or None for an error that is one short sentence."""
    try:
        return specimens.read(kind, data)
    except CellFieldsError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return None


# -- bytes that were damaged ----------------------------------------------------------------------------------------

damage = st.lists(
    st.tuples(
        st.sampled_from(["flip", "set", "insert", "delete", "truncate", "splice"]),
        st.floats(0, 1),
        st.floats(0, 1),
        st.binary(min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=4,
)


def damaged(data: bytes, other: bytes, steps: list[tuple[str, float, float, bytes]]) -> bytes:
    """``data`` after these steps; a splice continues with another file."""
    for how, where, reach, content in steps:
        i = int(where * len(data))
        if how == "flip":
            data = data[:i] + bytes(byte ^ 1 << content[0] % 8 for byte in data[i : i + 1]) + data[i + 1 :]
        elif how == "set":
            data = data[:i] + content + data[i + len(content) :]
        elif how == "insert":
            data = data[:i] + content + data[i:]
        elif how == "delete":
            data = data[:i] + data[i + len(content) :]
        elif how == "truncate":
            data = data[:i]
        else:
            data = data[:i] + other[int(reach * len(other)) :]
    return data


@pytest.mark.parametrize("kind", KINDS)
@given(steps=damage, other=st.sampled_from(KINDS))
def test_damaged_bytes(
    specimens: Specimens, kind: str, other: str, steps: list[tuple[str, float, float, bytes]]
) -> None:
    data = damaged(specimens.bytes[kind], specimens.bytes[other], steps)
    found = result_or_typed_error(specimens, kind, data)
    if found is not None and kind == "description":  # its seal is on what it says, not on the white space between
        assert json.loads(data) == json.loads(specimens.bytes[kind])
    else:
        assert found is None or kind == "failure" or data == specimens.bytes[kind]  # all others are sealed


# -- contents that were forged: the seal is right ---------------------------------------------------------------------

NUMBERS = (0, -1, 1, 2**63, 10**400, 0.5, 1e308, -1e-308)
TEXTS = ("", "0", "nan", "F32", "x" * 2000, "\ud800", "@inf@", "@nan@", "@deep@")  # @…@: see TOKENS
scalars = st.sampled_from([*NUMBERS, *TEXTS, None, True, [], {}])
values = st.one_of(
    scalars, st.recursive(scalars, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner))
)


@st.composite
def edited(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value in which one entry, somewhere, is another one, missing, or doubled."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 9)) == 0:
        return draw(values)
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    largest = max(keys, key=lambda key: len(json.dumps(value[key])))  # the header, among the tables of many arrays
    key = draw(st.just(largest) | st.sampled_from(keys))
    how = draw(st.sampled_from(["inside", "inside", "inside", "delete", "double"]))
    changed = value.copy()
    if how == "delete":
        del changed[key]
    elif how == "double" and isinstance(changed, list):
        changed.insert(key, changed[key])
    elif how == "double":
        changed[draw(st.text(max_size=5))] = changed[key]
    else:
        changed[key] = draw(edited(changed[key]))
    return changed


TOKENS = {  # what json.dumps would not write
    "@inf@": "1e999",
    "@nan@": "NaN",
    "@deep@": "[" * 5000 + "]" * 5000,
    "@deeper than json.dumps@": "[" * 986 + "]" * 986,
    "@many@": "[" + "[]," * 250_000 + "0]",
}


def spelt(value: Any) -> bytes:
    """JSON, with the tokens above in place of their names."""
    text = json.dumps(value, separators=(",", ":"))
    for name, token in TOKENS.items():
        text = text.replace(json.dumps(name), token)
    return text.encode()


def with_header(header: Any, tail: bytes) -> bytes:
    """A safetensors file."""
    text = spelt(header)
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + tail


def taken_apart(kind: str, data: bytes) -> tuple[Any, bytes]:
    """Everything that is JSON in a file, without its seal, and the rest."""
    if kind in ("description", "failure"):
        table = json.loads(data)
        table.pop("sha256", None)
        return table, b""
    begin = 8 + int.from_bytes(data[:8], "little")
    table = json.loads(data[8:begin])
    metadata = table["__metadata__"]
    if kind == "model":
        metadata["cellfields"] = json.loads(metadata["cellfields"])
    else:
        del metadata["seal"]
        metadata["header"] = json.loads(metadata["header"])
    return table, data[begin:]


def forged(kind: str, table: Any, tail: bytes) -> bytes:
    """The file again, sealed by somebody who knows how."""
    if kind == "failure":
        return spelt(table)
    if kind == "description":
        text = spelt(table)
        with contextlib.suppress(InputError, ValueError, RecursionError):
            text = text[:-1] + f',"sha256":"{digest(loads(text, ""))}"}}'.encode()
        return text
    metadata = table.get("__metadata__") if isinstance(table, dict) else None
    if not isinstance(metadata, dict):
        return with_header(table, tail)
    metadata = {key: value if isinstance(value, str) else spelt(value).decode() for key, value in metadata.items()}
    if kind != "model":
        data = with_header({"__metadata__": {"seal": "0" * 64, **metadata}, **_without(table, "__metadata__")}, tail)
        return data[:_START] + hashlib.sha256(data).hexdigest().encode() + data[_END:]
    with contextlib.suppress(Exception):
        content = json.loads(metadata["cellfields"])
        tensors = load(with_header(_without(table, "__metadata__"), tail))
        metadata["cellfields"] = spelt({**content, "sha256": _file._digest(content["content"], tensors)}).decode()
    return with_header({**table, "__metadata__": metadata}, tail)


def _without(table: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key != name}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_forged_contents(specimens: Specimens, kind: str, data: st.DataObject) -> None:
    table, tail = taken_apart(kind, specimens.bytes[kind])
    result_or_typed_error(specimens, kind, forged(kind, data.draw(edited(table)), tail))


@pytest.mark.parametrize("kind", KINDS)
def test_forging_itself_works(specimens: Specimens, kind: str) -> None:
    """What is taken apart and forged without a change is read as the original is."""
    data = forged(kind, *taken_apart(kind, specimens.bytes[kind]))
    assert result_or_typed_error(specimens, kind, data) is not None


@given(provenance=st.dictionaries(st.text(), values))
def test_what_can_be_sealed_can_be_read(specimens: Specimens, provenance: dict[str, Any]) -> None:
    """The reader's limits are the writer's."""
    try:
        data = encode_state(replace(specimens.state, provenance=provenance))
    except InputError:
        return
    assert encode_state(decode_state(data)) == data


def test_deep_or_large_provenance_is_not_sealed(specimens: Specimens) -> None:
    state = specimens.state
    for levels, sealed in ((20, True), (40, False)):
        deep: Any = 1
        for _ in range(levels):
            deep = [deep]
        with contextlib.nullcontext() if sealed else pytest.raises(InputError, match="nested too deeply"):
            assert decode_state(encode_state(replace(state, provenance={"x": deep}))).provenance == {"x": deep}
    with pytest.raises(InputError, match="too large"):
        encode_state(replace(state, provenance={"x": 10**400}))


# -- what once was, or might be, an error of another kind -------------------------------------------------------------

NASTY = [10**400, -(2**70), 1e308, "\ud800", "x" * 100_000, *TOKENS]
PLACES: dict[str, list[tuple[str | int, ...]]] = {
    "state": [("__metadata__", "kind"), ("__metadata__", "header", "provenance", "engine")]
    + [("__metadata__", "header", name) for name in ("format", "energies", "basis", "volume")]
    + [("__metadata__", "header", "deformation", 0), ("lattice", "shape", 0), ("lattice", "dtype"), ("other",)],
    "basis": [("__metadata__", "header", "real"), ("indices", "shape", 0), ("origin", "data_offsets", 1), ("other",)],
    "description": [("format",), ("engine", "engine"), ("crystal", "species", 0), ("crystal", "positions", 0, 0)]
    + [("crystal", "lattice", i, i) for i in range(3)],
    "failure": [("deformation",), ("deformation", 0), ("error",), ("message",), ("history",), ("history", 0)],
    "model": [("__metadata__", "cellfields", name) for name in ("format", "version", "content")]
    + [
        ("__metadata__", "cellfields", "content", name)
        for name in ("crystal", "real", "fields", "networks", "smearing_width", "reach", "recipe", "metadata")
    ]
    + [("basis.origin", "shape", 0), ("basis.origin", "dtype")],
}


def put(table: Any, place: tuple[str | int, ...], value: Any) -> Any:
    """A copy with another value in one place."""
    first, *rest = place
    changed = table.copy()
    changed[first] = put(table[first], tuple(rest), value) if rest else value
    return changed


@contextlib.contextmanager
def little_memory(mebibytes: int) -> Iterator[None]:
    """So much more than this process has now, and no more."""
    resource = pytest.importorskip("resource")
    statistics = Path("/proc/self/statm")
    if not statistics.exists():
        pytest.skip("needs /proc to see how much memory there is already")
    now = int(statistics.read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + (mebibytes << 20), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("kind", KINDS)
def test_nasty_contents_in_little_memory_and_time(specimens: Specimens, kind: str) -> None:
    table, tail = taken_apart(kind, specimens.bytes[kind])
    for place in PLACES[kind]:
        for value in NASTY if place[-1] in ("provenance", "engine", "history", "metadata") else NASTY[:-1]:
            data = forged(kind, put(table, place, value), tail)
            begin = time.process_time()
            with little_memory(128):
                result_or_typed_error(specimens, kind, data)
            assert time.process_time() - begin < 5


@pytest.mark.parametrize("kind", ["state", "basis", "model"])
@pytest.mark.parametrize("shape", [[2**62, 4], [2**40, 0, 3], [-1], [1] * 100, [], [0]])
def test_shapes_that_lie(specimens: Specimens, kind: str, shape: list[int]) -> None:
    name = {"state": "lattice", "basis": "origin", "model": "basis.origin"}[kind]
    table, tail = taken_apart(kind, specimens.bytes[kind])
    begin, end = table[name]["data_offsets"]
    for place in (name, "other"):
        for offsets in ([begin, end], [begin, begin]):
            array = {**table[name], "shape": shape, "data_offsets": offsets}
            data = forged(kind, put(table, (place,), array), tail)
            with little_memory(128):
                result_or_typed_error(specimens, kind, data)


@pytest.mark.parametrize("kind", ["state", "basis", "model"])
@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "F16", "C64", "BOOL", "U64", "I4"])
def test_types_that_do_not_belong_there(specimens: Specimens, kind: str, dtype: str) -> None:
    name = {"state": "lattice", "basis": "origin", "model": "basis.origin"}[kind]
    table, tail = taken_apart(kind, specimens.bytes[kind])
    begin, end = table[name]["data_offsets"]
    size = {"BF16": 2, "F16": 2, "F8_E4M3": 1, "BOOL": 1, "I4": 0.5}.get(dtype, 8)
    array = {"dtype": dtype, "shape": [int((end - begin) / size)], "data_offsets": [begin, end]}
    assert result_or_typed_error(specimens, kind, forged(kind, put(table, (name,), array), tail)) is None


def test_a_crystal_of_a_thousand_atoms_is_not_even_begun(specimens: Specimens) -> None:
    """Finding the symmetry of a large and regular one takes minutes."""
    table, tail = taken_apart("description", specimens.bytes["description"])
    sites = np.stack(np.meshgrid(*[np.arange(10) / 10] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    large = put(put(table, ("crystal", "species"), ["H"] * 1000), ("crystal", "positions"), sites.tolist())
    begin = time.process_time()
    assert result_or_typed_error(specimens, "description", forged("description", large, tail)) is None
    assert time.process_time() - begin < 5


def test_a_file_beyond_every_limit_is_not_read(specimens: Specimens) -> None:
    for kind in ("state", "basis", "description", "failure"):
        path = specimens.paths[kind]
        with path.open("r+b") as file:
            file.truncate(2 << 30)  # sparse: takes no space
        try:
            with little_memory(128), pytest.raises(CellFieldsError, match="larger than any file that cellfields wri"):
                specimens.read_as_it_is(kind)
        finally:
            path.write_bytes(specimens.bytes[kind])
