"""Readers under damaged and hostile input: any bytes give a result or one typed error, in bounded time and memory.

No traceback of another type, no hang, no allocation out of proportion. How to run it for longer: tests/conftest.py.
"""

from __future__ import annotations

import json
import signal
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellfields.cli._template import TEMPLATE
from cellfields.crystal.deformation import Deformation, sample_deformations
from cellfields.dataset import DatasetStore
from cellfields.dataset._pack_content import PackedDataset
from cellfields.dataset.importing.record import Record, state_of
from cellfields.dataset.importing.table import read_table
from cellfields.dataset.pack import pack
from cellfields.errors import CellFieldsError, CorruptFileError
from cellfields.formats.chgcar import read_chgcar
from cellfields.formats.cube import read_cube
from cellfields.pipeline.configuration import load_study
from cellfields.storage.sealed import _END, _START, _seal_of, seal, unseal
from tests.dataset.importing.writers import foreign_atoms, save_chgcar, save_cube
from tests.toy import ToyEngine, magnesium

CRYSTAL = magnesium()
SECONDS, MEBIBYTES = 10, 200
_HOSTILE = (b"99999999999", b"-1", b"0", b"nan", b"1e400", b"[[[[", b"\0", b"\xff", b'"', b"\n\n", b" ", b"1" * 5000)


@contextmanager
def bounded() -> Iterator[None]:
    """One typed error at most, and it did not take long nor much."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    tracemalloc.start()
    try:
        yield
    except CellFieldsError as error:
        assert str(error).strip() and len(str(error)) < 2000
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert peak < MEBIBYTES << 20, f"{peak >> 20} MiB"


@st.composite
def damaged(draw: st.DrawFn, original: bytes) -> bytes:
    """Some of: bytes changed, put in, cut out, doubled; tokens replaced by hostile ones; the end cut off."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(("byte", "insert", "delete", "double", "token", "cut")))
        if kind == "byte" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif kind == "insert":
            data[at:at] = draw(st.sampled_from(_HOSTILE) | st.binary(max_size=8))
        elif kind == "delete":
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == "double":
            data[at:at] = data[at : at + draw(st.integers(1, 200))]
        elif kind == "token":
            end = at
            while end < len(data) and not bytes(data[end : end + 1]).isspace():
                end += 1
            data[at:end] = draw(st.sampled_from(_HOSTILE))
        else:
            del data[at:]
    return bytes(data)


def check_text(name: str, data: bytes, read: Callable[[Path], object]) -> None:
    with TemporaryDirectory() as folder, bounded():
        path = Path(folder) / name
        path.write_bytes(data)
        read(path)


# -- text files ---------------------------------------------------------------------------------------------------


@cache
def _file(name: str) -> bytes:
    state = ToyEngine(CRYSTAL, 1.0).solve(Deformation((1.02, 0.97, 1.01), (91.0, 88.5, 90.7)))
    assert state.fields is not None
    grid = state.fields.on_grid("density", (4, 6, 5))
    with TemporaryDirectory() as folder:
        (save_cube if name.endswith("cube") else save_chgcar)(Path(folder, name), foreign_atoms(CRYSTAL, state), grid)
        return Path(folder, name).read_bytes()


def _import(read: Callable[[Path], Any]) -> Callable[[Path], object]:
    return lambda path: state_of(Record("it", fields={"density": read(path)}), CRYSTAL, 1.0, 0.5)


@given(damaged(_file("rho.cube")))
def test_cube(data: bytes) -> None:
    check_text("rho.cube", data, _import(read_cube))


@given(damaged(_file("CHGCAR")))
def test_chgcar(data: bytes) -> None:
    check_text("CHGCAR", data, _import(read_chgcar))


_TABLE = b"""name,lambda_a,lambda_b,lambda_c,theta_a,theta_b,theta_c,free_energy,internal,stress_gpa,density
one,1.01,0.99,1,90,90.5,89,-1.75,0.001 0.002 -0.003,1 2 3 4 5 6,
"two, quoted",1,1,1,90,90,90,,,,rho.cube
"""


def _read_table(path: Path) -> object:
    (path.parent / "rho.cube").write_bytes(_file("rho.cube"))
    records = [record for record in read_table(path, CRYSTAL) if isinstance(record, Record)]
    return [state_of(record, CRYSTAL, 1.0, 0.5) for record in records]


@given(damaged(_TABLE))
def test_table(data: bytes) -> None:
    check_text("t.csv", data, _read_table)


@given(damaged(TEMPLATE.encode()))
def test_study(data: bytes) -> None:
    check_text("study.toml", data, lambda path: load_study(path).crystal.build())


@given(damaged(b"".join([TEMPLATE.encode().split(b"[engine]")[0], b'[imported]\ndescription = "x"\ntest = 4\n'])))
def test_study_of_imported_states(data: bytes) -> None:
    check_text("study.toml", data, lambda path: load_study(path).crystal.build())


# -- packed datasets ----------------------------------------------------------------------------------------------


@cache
def _packed(modes: int | None) -> bytes:
    with TemporaryDirectory() as folder:
        store = DatasetStore.create_or_open(Path(folder) / "dataset", CRYSTAL, {"engine": "toy"})
        for state in map(ToyEngine(CRYSTAL, 1.0).solve, sample_deformations(CRYSTAL, 3, seed=0, stretch_sigma=0.02)):
            store.write(state)
        pack(store, Path(folder) / "it", modes=modes)
        return (Path(folder) / "it").read_bytes()


def check_pack(data: bytes) -> None:
    with bounded():
        list(PackedDataset.decode(data, "it").states())


@given(damaged(_packed(None)), st.booleans())
def test_pack(data: bytes, forge: bool) -> None:
    """Altered, and altered by somebody who then computed the seal anew."""
    if not forge:
        with pytest.raises(CorruptFileError):
            check_unsealed_pack(data)
        return
    blank = data[:_START] + b"0" * 64 + data[_END:]
    check_pack(data[:_START] + _seal_of(blank).encode() + data[_END:])


def check_unsealed_pack(data: bytes) -> None:
    if data == _packed(None):  # mutations that undid each other
        raise CorruptFileError("it is whole")
    PackedDataset.decode(data, "it")


_VALUES = st.sampled_from(("null", "-1", "0", "3.5", "1" * 400, '""', "[]", "[[]]", "{}", "[1,2,3]", "true"))


@given(st.data())
def test_forged_pack(data: st.DataObject) -> None:
    """A header or arrays that lie, under a seal that holds."""
    header, tensors = unseal(_packed(data.draw(st.sampled_from((None, 2)))), "packed dataset", "it")
    header = json.loads(json.dumps(header))
    for _ in range(data.draw(st.integers(0, 2))):
        holder: Any = header
        while True:
            keys = sorted(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = data.draw(st.sampled_from(keys))
            if not (isinstance(holder[key], dict | list) and holder[key]) or data.draw(st.booleans()):
                break
            holder = holder[key]
        if isinstance(holder, dict) and data.draw(st.booleans()):
            del holder[key]
        else:
            holder[key] = json.loads(data.draw(_VALUES))
        if not header:
            break
    for name in data.draw(st.lists(st.sampled_from(sorted(tensors)), max_size=2)):
        array = tensors.pop(name, np.zeros(0))
        change = data.draw(st.sampled_from(("drop", "flat", "short", "type", "nan", "huge", "other")))
        if change == "flat":
            tensors[name] = array.reshape(-1)
        elif change == "short":
            tensors[name] = array[:-1]
        elif change == "type":
            kind = data.draw(st.sampled_from((np.float32, np.int32, np.int64, np.uint8)))
            tensors[name] = np.nan_to_num(array, posinf=0, neginf=0).clip(0, 255).astype(kind)
        elif change in ("nan", "huge") and array.dtype.kind == "f":
            tensors[name] = np.full_like(array, np.nan if change == "nan" else 1e30)
        elif change == "huge" and array.dtype == np.int32:
            tensors[name] = np.full_like(array, 2**31 - 1)
        elif change == "other":
            tensors[f"{name}.more"] = array
    check_pack(seal("packed dataset", header, tensors))


def test_the_bounds_do_bind() -> None:
    """What the tests above rely on: too much memory, too much time and foreign errors are failures."""
    with pytest.raises(AssertionError, match="MiB"), bounded():
        np.ones(30 << 20)
    with pytest.raises(ZeroDivisionError), bounded():
        1 // 0  # noqa: B018
    with bounded():
        raise CorruptFileError("one sentence")
