"""Encode a CellState as sealed bytes, and decode it.

    arrays   lattice, positions, internal, forces, stress, fields.<name>          float64, exact
    header   D, F, U, −TS, E_F, energy terms, provenance, units, what it belongs to   JSON, exact

A field is a vector of Fourier coefficients (complex ones as pairs of reals). The integer vectors that they belong to
are the same for every state of a dataset, so they are a file of their own and a state only names its hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from cellfields._typing import Array, FloatArray
from cellfields.crystal.deformation import Deformation
from cellfields.errors import CorruptFileError, InputError
from cellfields.state import UNITS, CellState
from cellfields.state.fields import ElectronicFields, FourierBasis
from cellfields.state.quantities import ENERGIES
from cellfields.storage.json_tables import plain
from cellfields.storage.sealed import seal, unseal

STATE_FORMAT = 1
_STATE = "cell state"
_BASIS = "Fourier basis"
_FIELD = "fields."
_UNKNOWN = frozenset({"free_energy", "internal"})


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    format: int
    record: dict[str, str]
    deformation: list[float]
    energies: dict[str, float]
    energy_terms: dict[str, float]
    provenance: dict[str, Any]
    units: dict[str, str]
    basis: str | None
    volume: float | None
    unknown: list[str] = []


class _BasisHeader(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    real: bool


def encode_state(state: CellState, *, record: Mapping[str, str] | None = None) -> bytes:
    """Sealed bytes of a state; equal states give equal bytes.

    Args:
        state: its fields may be missing, or a lazily evaluated mapping.
        record: what the state belongs to (hashes of the input, the crystal, the engine; the code's version), so that
            a file under a wrong name or in a wrong dataset is noticed.

    Raises:
        InputError: a number that is not finite, an array of the wrong shape, provenance that is not plain data.
    """
    atoms = np.shape(state.positions)[:1]
    tensors = {
        "lattice": _checked("lattice", state.lattice, (3, 3)),
        "positions": _finite_or_unknown("positions", state.positions, (*atoms, 3), state.unknown),
        "internal": _finite_or_unknown("internal", state.internal, np.shape(state.internal)[:1], state.unknown),
    }
    if state.forces is not None:
        tensors["forces"] = _checked("forces", state.forces, (*atoms, 3))
    if state.stress is not None:
        tensors["stress"] = _checked("stress", state.stress, (3, 3))
    basis = None
    if state.fields is not None:
        basis = basis_hash(state.fields.basis)
        for name in state.fields.coefficients:
            tensors[_FIELD + name] = _flat_field(name, state.fields.coefficients[name], state.fields.basis)
    if state.unknown - _UNKNOWN:
        raise InputError(f"unknown = {sorted(state.unknown)} of a state may name {', '.join(sorted(_UNKNOWN))}")
    known_energies = [n for n in ENERGIES if state.knows(n) or (n == "free_energy" and n not in state.unknown)]
    header = {
        "format": STATE_FORMAT,
        "record": dict(record or {}),
        "deformation": state.deformation.as_array().tolist(),
        "energies": {name: _finite(name, getattr(state, name)) for name in known_energies},
        "energy_terms": {name: _finite(f"energy_terms.{name}", value) for name, value in state.energy_terms.items()},
        "provenance": plain(state.provenance, "provenance"),
        "units": dict(UNITS),
        "basis": basis,
        "volume": None if state.fields is None else _finite("fields.volume", state.fields.volume),
    }
    if state.unknown:
        header["unknown"] = sorted(state.unknown)
    return seal(_STATE, header, tensors)


def decode_deformation(data: bytes, name: str) -> Deformation:
    """The deformation of the state that was sealed in ``data``, without its arrays.

    Args:
        data: the file's bytes.
        name: of the file, for messages.

    Raises:
        CorruptFileError: truncated, altered, foreign or malformed.
    """
    table, _ = unseal(data, _STATE, name)
    try:
        return Deformation.from_array(table["deformation"])
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise CorruptFileError(f"{name} does not hold a state: {str(error)[:200]}") from error


def decode_state(
    data: bytes,
    *,
    bases: Callable[[str], FourierBasis] | None = None,
    record: Mapping[str, str] | None = None,
    name: str = "the state",
) -> CellState:
    """The state that was sealed in ``data``.

    Args:
        data: the file's bytes.
        bases: returns the Fourier basis of a hash; a dataset finds those that it stores.
        record: entries that the state's own record must equal.
        name: of the file, for messages.

    Raises:
        CorruptFileError: truncated, altered, foreign, malformed, or belonging elsewhere.
        InputError: the state has fields and no ``bases`` was given.
    """
    table, tensors = unseal(data, _STATE, name)
    if table.get("format") != STATE_FORMAT:
        raise CorruptFileError(
            f"{name} has state format {str(table.get('format'))[:20]}, this version of cellfields reads {STATE_FORMAT}"
        )
    try:
        header = _Header.model_validate(table)
        deformation = Deformation.from_array(header.deformation)
        energies: dict[str, Any] = {key: header.energies.get(key) for key in ENERGIES if key != "free_energy"}
        if header.energies.keys() - set(ENERGIES):
            raise InputError("energies of unknown names")
        unknown = frozenset(header.unknown)
        if unknown - _UNKNOWN or ("free_energy" in unknown) == ("free_energy" in header.energies):
            raise InputError("energies")
        atoms = tensors["positions"].shape[:1]
        arrays: dict[str, FloatArray] = {
            "lattice": _checked("lattice", tensors.pop("lattice"), (3, 3)),
            "positions": _finite_or_unknown("positions", tensors.pop("positions"), (*atoms, 3), unknown),
            "internal": _finite_or_unknown("internal", tensors["internal"], tensors.pop("internal").shape[:1], unknown),
        }
        for key, shape in (("forces", (*atoms, 3)), ("stress", (3, 3))):
            if key in tensors:
                arrays[key] = _checked(key, tensors.pop(key), shape)
        if any(not key.startswith(_FIELD) for key in tensors) or (tensors and header.basis is None):
            raise InputError("arrays of unknown names")
    except (ValidationError, InputError, KeyError) as error:
        raise CorruptFileError(f"{name} is malformed: it does not hold what a state consists of") from error
    for key, expected in (record or {}).items():
        if header.record.get(key) != expected:
            raise CorruptFileError(f"{name} does not belong here: its {key} hash is another one")
    fields = None
    if header.basis is not None:
        if bases is None:
            raise InputError(
                f"{name} cannot be read on its own: the Fourier basis {header.basis[:12]} of its fields is stored in "
                "its dataset; open the dataset directory instead"
            )
        fields = _fields(tensors, bases(header.basis), header.volume, name)
    return CellState(
        deformation=deformation,
        free_energy=header.energies.get("free_energy", np.nan),
        **energies,
        fields=fields,
        energy_terms=header.energy_terms,
        provenance=header.provenance,
        lattice=arrays["lattice"],
        positions=arrays["positions"],
        internal=arrays["internal"],
        forces=arrays.get("forces"),
        stress=arrays.get("stress"),
        unknown=unknown,
    )


def basis_hash(basis: FourierBasis) -> str:
    """SHA-256 of the integer vectors in their order, the origin rounded to 1e-10, and the kind of coefficients."""
    digest = hashlib.sha256(b"real" if basis.real else b"complex")
    digest.update(np.ascontiguousarray(basis.indices, dtype="<i8").tobytes())
    digest.update(",".join(f"{x:.10f}" for x in np.asarray(basis.origin) + 0.0).encode())
    return digest.hexdigest()


def encode_basis(basis: FourierBasis) -> bytes:
    """Sealed bytes of a Fourier basis."""
    tensors = {"indices": basis.indices.astype(np.int64), "origin": _checked("origin", basis.origin, (3,))}
    return seal(_BASIS, {"real": bool(basis.real)}, tensors)


def decode_basis(data: bytes, *, expected: str, name: str = "the basis") -> FourierBasis:
    """The basis that was sealed in ``data``.

    Raises:
        CorruptFileError: truncated, altered, foreign, malformed, or not the one of hash ``expected``.
    """
    table, tensors = unseal(data, _BASIS, name)
    try:
        header = _BasisHeader.model_validate(table)
        indices, origin = tensors["indices"], _checked("origin", tensors["origin"], (3,))
        if indices.dtype != np.int64 or indices.ndim != 2 or indices.shape[1] != 3 or len(indices) == 0:
            raise InputError("indices")
    except (ValidationError, InputError, KeyError) as error:
        raise CorruptFileError(f"{name} is malformed: it does not hold what a Fourier basis consists of") from error
    basis = FourierBasis(indices, origin, header.real)
    if basis_hash(basis) != expected:
        raise CorruptFileError(f"{name} does not belong here: it holds another Fourier basis")
    return basis


def _fields(tensors: Mapping[str, Array], basis: FourierBasis, volume: float | None, name: str) -> ElectronicFields:
    shape = (basis.size,) if basis.real else (basis.size, 2)
    if volume is None or any(array.shape != shape or array.dtype != np.float64 for array in tensors.values()):
        raise CorruptFileError(f"{name} is malformed: its fields do not fit their Fourier basis")
    coefficients = {
        key.removeprefix(_FIELD): array if basis.real else np.ascontiguousarray(array).view(np.complex128)[:, 0]
        for key, array in tensors.items()
    }
    return ElectronicFields(basis, coefficients, volume)


def _flat_field(name: str, coefficients: Array, basis: FourierBasis) -> FloatArray:
    values = np.asarray(coefficients)
    if basis.real and np.iscomplexobj(values):
        raise InputError(f"field {name!r} has complex coefficients, its basis has real ones")
    if not basis.real:
        values = values.astype(complex)
        values = np.stack([values.real, values.imag], axis=-1)
    return _checked(f"field {name!r}", values, (basis.size,) if basis.real else (basis.size, 2))


def _checked(name: str, values: Any, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" or array.shape != shape or not np.isfinite(array).all():
        raise InputError(f"{name} of a state must be {shape} finite real numbers, got shape {array.shape}")
    return array.astype(np.float64, copy=False)


def _finite_or_unknown(name: str, values: Any, shape: tuple[int, ...], unknown: frozenset[str]) -> FloatArray:
    """An array of the given shape: finite, or nan throughout where the atoms are among the unknown."""
    if "internal" not in unknown:
        return _checked(name, values, shape)
    array = np.asarray(values)
    if array.shape != shape or array.dtype != np.float64 or not np.isnan(array).all():
        raise InputError(f"{name} of a state whose atoms are unknown must be nan throughout")
    return array


def _finite(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise InputError(f"{name} = {value!r} of a state is not a finite number")
    return number
