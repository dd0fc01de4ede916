"""The content of a pack file, and its encoding as bytes.

header   crystal, engine settings, how each field was packed and with what error           JSON
arrays   a row for each state: D, lattice, …, energies (float64; nan where a state does not know it)
         field.<name>.{kept, integral, coefficients, mean, modes}, the Fourier basis, provenance and failures (JSON)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cellfields import __version__
from cellfields._typing import Array, FloatArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dataset._failure import Failure
from cellfields.dataset._pack_fields import PackedField, vector_size
from cellfields.dataset._settings import require_same, settings_table
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import CorruptFileError, InputError
from cellfields.state import CellState
from cellfields.state.fields import ElectronicFields, FourierBasis
from cellfields.state.quantities import ENERGIES
from cellfields.storage import sealed
from cellfields.storage.json_tables import canonical, plain

_KIND = "packed dataset"
_FORMAT = 1
_ARRAYS = ("lattice", "positions", "internal", "forces", "stress")
_FIELD = "field."


class FieldSummary(BaseModel):
    """How one field was packed, and the relative errors that this made.

    Attributes:
        states: that have it.
        cutoff: ½|G⁰|² up to which coefficients are kept, Hartree.
        coefficients: numbers kept of each state's vector, before any reduction.
        modes: principal components, None without reduction.
        relative_l2_mean, relative_l2_max: ‖f − f_packed‖ / ‖f‖ over the states.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    states: int
    cutoff: float
    coefficients: int
    modes: int | None
    relative_l2_mean: float
    relative_l2_max: float


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    format: int
    version: str
    crystal: dict[str, Any]
    crystal_hash: str
    engine: dict[str, Any]
    states: int = Field(ge=1)
    energy_terms: list[str]
    real: bool | None
    fields: dict[str, FieldSummary]


@dataclass(frozen=True, eq=False)
class Columns:
    """The exact arrays, one row for each state: nan where a state lacks the quantity, no array where all states do."""

    arrays: Mapping[str, FloatArray]
    terms: list[str]
    provenance: list[dict[str, Any]]

    @classmethod
    def of(cls, states: Sequence[CellState]) -> Columns:
        """The columns of these states; of their fields only the volume is used."""
        terms = sorted({name for state in states for name in state.energy_terms})
        values_of_states: dict[str, list[Any]] = {
            "deformation": [state.deformation.as_array() for state in states],
            "energies": [[getattr(state, name) for name in ENERGIES] for state in states],
            "energy_terms": [[state.energy_terms.get(name) for name in terms] for state in states],
            "volume": [None if state.fields is None else state.fields.volume for state in states],
        }
        values_of_states |= {name: [getattr(state, name) for state in states] for name in _ARRAYS}
        arrays = {}
        for name, values in values_of_states.items():
            shape = next((np.shape(value) for value in values if value is not None), None)
            if shape is not None:
                rows = [np.full(shape, np.nan) if value is None else np.asarray(value, float) for value in values]
                arrays[name] = np.array(rows)
        return cls(arrays, terms, [dict(state.provenance) for state in states])

    def __len__(self) -> int:
        return len(self.provenance)

    def deformation(self, row: int) -> Deformation:
        """The deformation of the state in one row."""
        return Deformation.from_array(self.arrays["deformation"][row])

    def state(self, row: int, fields: ElectronicFields | None, note: Mapping[str, Any]) -> CellState:
        """One state; ``note`` goes into its provenance if it has fields."""
        numbers = {name: array[row] for name, array in self.arrays.items()}
        energies = {name: float(x) for name, x in zip(ENERGIES, numbers["energies"], strict=True)}
        terms = {name: float(x) for name, x in zip(self.terms, numbers["energy_terms"], strict=True) if not np.isnan(x)}
        optional: dict[str, Any] = {name: x for name, x in energies.items() if name != "free_energy"}
        optional |= {name: numbers[name] for name in ("forces", "stress") if name in numbers}
        unknown = {"free_energy": np.isnan(energies["free_energy"]), "internal": np.isnan(numbers["positions"]).all()}
        provenance = self.provenance[row]
        if fields is not None:
            provenance = {**provenance, "packed": [*provenance.get("packed", []), dict(note)]}
        return CellState(
            deformation=self.deformation(row),
            lattice=numbers["lattice"],
            positions=numbers["positions"],
            internal=numbers["internal"],
            free_energy=energies["free_energy"],
            **{name: value for name, value in optional.items() if not np.isnan(value).all()},
            fields=fields,
            energy_terms=terms,
            provenance=provenance,
            unknown=frozenset(name for name, lacking in unknown.items() if lacking),
        )


@dataclass(frozen=True, eq=False)
class PackedDataset:
    """A dataset with truncated fields, in memory as in its file.

    Attributes:
        crystal: the reference crystal.
        identity: of the engine that computed the states.
        fields: field → how it was packed, and its errors.
        failures: samples that have no state.
        columns: everything but the fields.
        basis: Fourier basis of the original dataset, None if it has no fields.
        packed: the fields.
        version: of the package that packed.
    """

    crystal: Crystal
    identity: EngineIdentity
    fields: Mapping[str, FieldSummary]
    failures: tuple[Failure, ...]
    columns: Columns = field(repr=False)
    basis: FourierBasis | None = field(repr=False)
    packed: Mapping[str, PackedField] = field(repr=False)
    version: str = __version__

    def __len__(self) -> int:
        return len(self.columns)

    def states(self) -> Iterator[CellState]:
        """The states, one at a time, their fields in the basis of the original dataset (zero where they were cut off).

        ``provenance["packed"]`` is a list of what packing did to the fields, one entry for each time.
        """
        note = {
            "version": self.version,
            "fields": {name: summary.model_dump() for name, summary in self.fields.items()},
        }
        for row in range(len(self)):
            yield self.columns.state(row, self._fields(row), note)

    def require_engine(self, engine: Any, name: object) -> None:
        """Refuse an engine whose crystal or identity are not those of the states.

        Raises:
            SettingsMismatchError: naming the settings that differ.
        """
        stored = settings_table(self.crystal, self.identity)
        require_same(stored, settings_table(engine.crystal, engine.identity), name)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data about the content."""
        return {
            "states": len(self),
            "failed": len(self.failures),
            "version": self.version,
            "fields": {name: summary.model_dump() for name, summary in self.fields.items()},
            "crystal": self.crystal.to_dict(),
            "engine": dict(self.identity.table),
        }

    def _fields(self, row: int) -> ElectronicFields | None:
        if self.basis is None or np.isnan(volume := float(self.columns.arrays["volume"][row])):
            return None
        size = vector_size(self.basis)
        vectors = {
            name: packed_field.vector(row, size) for name, packed_field in self.packed.items() if packed_field.has(row)
        }
        coefficients = {name: self.basis.from_vector(vector) for name, vector in vectors.items()}
        return ElectronicFields(self.basis, coefficients, volume)

    # -- bytes --------------------------------------------------------------------------------------------------

    def encode(self) -> bytes:
        """Sealed bytes of the dataset; equal content gives equal bytes.

        Raises:
            InputError: larger than a file may be.
        """
        header = {
            "format": _FORMAT,
            "version": self.version,
            "crystal": self.crystal.to_dict(),
            "crystal_hash": self.crystal.fingerprint,
            "engine": dict(self.identity.table),
            "states": len(self),
            "energy_terms": self.columns.terms,
            "real": None if self.basis is None else bool(self.basis.real),
            "fields": {name: summary.model_dump() for name, summary in self.fields.items()},
        }
        tensors = dict(self.columns.arrays)
        tensors["provenance"] = _text(self.columns.provenance)
        tensors["failures"] = _text([plain(failure.to_dict(), "failure") for failure in self.failures])
        if self.basis is not None:
            tensors["basis.indices"] = self.basis.indices.astype(np.int32)
            tensors["basis.origin"] = np.array(self.basis.origin)
        for name, packed_field in self.packed.items():
            tensors |= {f"{_FIELD}{name}.{part}": array for part, array in packed_field.tensors().items()}
        return sealed.seal(_KIND, header, tensors)

    @classmethod
    def decode(cls, data: bytes, name: str) -> PackedDataset:
        """Inverse of :meth:`encode`; nothing in the bytes is executed.

        Raises:
            InputError: made by a newer cellfields.
            CorruptFileError: truncated, altered, or no packed dataset.
        """
        table, tensors = sealed.unseal(data, _KIND, name)
        if isinstance(table.get("format"), int) and table["format"] > _FORMAT:
            raise InputError(f"{name} has pack format {table['format']}, this version of cellfields reads {_FORMAT}")
        try:
            header = _Header.model_validate(table)
            crystal = _crystal(header)
            provenance, failures = _tables(tensors.pop("provenance")), _tables(tensors.pop("failures"))
            basis = _basis(header, tensors)
            packed = _packed(header, basis, tensors)
            _check_columns(header, crystal, tensors, with_volume=basis is not None)
            if len(provenance) != header.states:
                raise InputError("provenance of another number of states")
            return cls(
                crystal=crystal,
                identity=EngineIdentity(header.engine),
                fields=header.fields,
                failures=tuple(Failure.from_dict(entry, name) for entry in failures),
                columns=Columns(tensors, header.energy_terms, provenance),
                basis=basis,
                packed=packed,
                version=header.version,
            )
        except (ValidationError, InputError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise CorruptFileError(
                f"{name} is malformed: it does not hold what a packed dataset consists of"
            ) from error


def _text(tables: Sequence[Mapping[str, Any]]) -> Array:
    data = canonical(list(tables)).encode()
    return np.frombuffer(data + b" " * (-len(data) % 8), dtype=np.uint8)  # the other arrays stay aligned


def _tables(text: Array) -> list[dict[str, Any]]:
    tables = json.loads(text.tobytes())
    if text.dtype != np.uint8 or not isinstance(tables, list) or not all(isinstance(entry, dict) for entry in tables):
        raise InputError("a list of tables is expected")
    return tables


def _crystal(header: _Header) -> Crystal:
    crystal = Crystal.from_dict(header.crystal)
    if crystal.fingerprint != header.crystal_hash:
        raise InputError("the crystal is not the one of its hash")
    return crystal


def _basis(header: _Header, tensors: dict[str, Array]) -> FourierBasis | None:
    if header.real is None:
        return None
    indices, origin = tensors.pop("basis.indices"), tensors.pop("basis.origin")
    if indices.dtype != np.int32 or indices.ndim != 2 or indices.shape[1] != 3 or len(indices) == 0 or indices[0].any():
        raise InputError("indices of a Fourier basis")
    if origin.dtype != np.float64 or origin.shape != (3,) or not np.isfinite(origin).all():
        raise InputError("origin of a Fourier basis")
    return FourierBasis(indices.astype(np.int64), origin, header.real)


def _packed(header: _Header, basis: FourierBasis | None, tensors: dict[str, Array]) -> dict[str, PackedField]:
    parts: dict[str, dict[str, Array]] = {name: {} for name in header.fields}
    for key in [key for key in tensors if key.startswith(_FIELD)]:
        name, _, part = key.removeprefix(_FIELD).rpartition(".")
        parts[name][part] = tensors.pop(key)
    if basis is None:
        if parts:
            raise InputError("fields without a Fourier basis")
        return {}
    return {n: PackedField.from_tensors(arrays, header.states, vector_size(basis)) for n, arrays in parts.items()}


def _check_columns(header: _Header, crystal: Crystal, tensors: Mapping[str, Array], *, with_volume: bool) -> None:
    atoms = (crystal.n_atoms, 3)
    wanted: dict[str, tuple[int, ...]] = {
        "deformation": (6,),
        "lattice": (3, 3),
        "positions": atoms,
        "internal": (crystal.n_internal,),
        "energies": (len(ENERGIES),),
        "energy_terms": (len(header.energy_terms),),
    }
    optional = {"forces": atoms, "stress": (3, 3)}
    wanted |= {name: shape for name, shape in optional.items() if name in tensors}
    if with_volume:
        wanted["volume"] = ()
    if {name: array.shape for name, array in tensors.items()} != {n: (header.states, *s) for n, s in wanted.items()}:
        raise InputError("columns of unknown names or shapes")
    if any(array.dtype != np.float64 or np.isinf(array).any() for array in tensors.values()):
        raise InputError("columns must hold double precision numbers")
    for row in tensors["deformation"]:
        Deformation.from_array(row)
