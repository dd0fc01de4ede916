"""A dataset is a directory with one sealed file per solve; these files alone say what is solved.

    dataset.json                        crystal, engine settings, their hashes, versions (sealed)
    states/<key>.safetensors            key = SHA-256 of (crystal, engine settings, D rounded to 1e-10)
    bases/<hash>.safetensors            the Fourier bases that the states' fields are expanded in (in practice one)
    failures/<key>.json                 why a sample has no state

Every file appears under its name whole or not at all (:mod:`cellfields.storage.atomic`), and its name follows from
its input, so any number of processes may write into one dataset, and restarting means solving what has no file.
There is no index that could disagree with the files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cellfields import __version__
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dataset import _codec
from cellfields.dataset._failure import Failure
from cellfields.dataset._settings import read_settings, require_same, settings_table
from cellfields.engines.contract import Engine, IdentifiedEngine
from cellfields.engines.identity import EngineIdentity
from cellfields.errors import CorruptFileError, InputError
from cellfields.state import CellState
from cellfields.state.fields import FourierBasis
from cellfields.storage import sealed
from cellfields.storage.atomic import StoreError, make_directory, settle, sweep, write_durably
from cellfields.storage.json_tables import digest, loads, plain, seal_table

_DESCRIPTION = "dataset.json"
_FOLDERS = ("states", "bases", "failures")


@dataclass(frozen=True)
class DatasetInfo:
    """What a dataset holds, counted by its files.

    Attributes:
        directory: where it is.
        solved: sealed states.
        failed: samples that failed and have no state.
        bytes_on_disk: of all its files.
        version: of the package that made it.
        crystal: the table of :meth:`Crystal.to_dict`.
        engine: the engine's settings.
        crystal_hash, engine_hash: SHA-256 of the two.
    """

    directory: str
    solved: int
    failed: int
    bytes_on_disk: int
    version: str
    crystal: dict[str, Any]
    engine: dict[str, Any]
    crystal_hash: str
    engine_hash: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class DatasetStore:
    """A directory of sealed states of one crystal, computed with one set of engine settings.

    Make one with :meth:`create_or_open` or :meth:`open`. It holds no open files and pickles, so a worker process can
    seal its own results.

    Attributes:
        directory: the dataset's directory.
        crystal: the reference crystal.
        identity: of the engine whose states these are.
    """

    directory: Path
    crystal: Crystal
    identity: EngineIdentity
    _settings: Mapping[str, Any] = field(repr=False)
    _bases: dict[str, FourierBasis] = field(default_factory=dict, repr=False)
    _intact: dict[str, tuple[int, int, int]] = field(default_factory=dict, repr=False)  # key → the file that was hashed

    # -- making and opening -------------------------------------------------------------------------------------

    @classmethod
    def create_or_open(
        cls, directory: str | Path, crystal: Crystal, identity: EngineIdentity | Mapping[str, Any]
    ) -> DatasetStore:
        """The dataset in ``directory``, made if there is none; leftovers of a crash are swept.

        Args:
            directory: of the dataset.
            crystal: the reference crystal.
            identity: of the engine that computes the states, or its JSON table.

        Raises:
            SettingsMismatchError: it was made with other settings; the message names them, nothing is written.
            InputError: the path is a file, or holds states without their ``dataset.json``.
            CorruptFileError: ``dataset.json`` is truncated or altered.
            StoreError: the directory cannot be written.
        """
        directory = Path(directory).absolute()
        wanted = settings_table(crystal, EngineIdentity.of(identity))
        if not (directory / _DESCRIPTION).exists():
            _create(directory, wanted)
        stored = _read_description(directory)  # also what another process may have just created
        require_same(stored, wanted, directory)
        settle(directory.parent)
        for folder in ("", *_FOLDERS):
            sweep(directory / folder)
        return cls(directory, crystal, EngineIdentity(stored["engine"]), stored)

    @classmethod
    def open(cls, directory: str | Path) -> DatasetStore:
        """The dataset in ``directory``; nothing is written.

        Raises:
            InputError: there is no dataset.
            CorruptFileError: ``dataset.json`` is truncated or altered.
        """
        directory = Path(directory).absolute()
        stored = _read_description(directory)
        try:
            crystal = Crystal.from_dict(stored["crystal"])
        except (InputError, KeyError, TypeError, ValueError) as error:
            reason = str(error)[:200]
            raise CorruptFileError(f"{directory / _DESCRIPTION} does not describe a crystal: {reason}") from error
        return cls(directory, crystal, EngineIdentity(stored["engine"]), stored)

    def require_engine(self, engine: Engine) -> None:
        """Refuse an engine whose crystal, or whose identity where it has one, is not the dataset's.

        Raises:
            SettingsMismatchError: naming the settings that differ.
        """
        identity = engine.identity if isinstance(engine, IdentifiedEngine) else self.identity
        self.require(engine.crystal, identity)

    def require(self, crystal: Crystal, identity: EngineIdentity) -> None:
        """Refuse a crystal or an identity that is not the dataset's.

        Raises:
            SettingsMismatchError: naming the settings that differ.
        """
        require_same(self._settings, settings_table(crystal, identity), self.directory)

    def require_writable(self) -> None:
        """Refuse a dataset that plainly cannot be written, before hours go into what it cannot keep.

        Raises:
            StoreError: a folder of it is read-only or gone.
        """
        for folder in _FOLDERS:
            if not os.access(self.directory / folder, os.W_OK | os.X_OK):
                raise StoreError(
                    f"cannot write {self.directory / folder}: it is read-only or gone; what was stored before is intact"
                )

    # -- states -------------------------------------------------------------------------------------------------

    def key(self, deformation: Deformation) -> str:
        """SHA-256 (hex) of the input of a solve: crystal, engine settings, D rounded to 1e-10."""
        numbers = [f"{x:.10f}" for x in deformation.as_array()]
        return digest([self._settings["crystal_hash"], self._settings["engine_hash"], numbers])

    def has(self, deformation: Deformation) -> bool:
        """Whether an intact sealed state of this deformation is there.

        The hash of its file is checked when the file is first asked for, and again once it has been replaced.
        """
        key = self.key(deformation)
        path = self._state_path(key)
        try:
            present = _file_identity(path)
            if self._intact.get(key) == present:
                return True
            if sealed.holds(sealed.read_limited(path)):
                self._intact[key] = present
                return True
        except (InputError, OSError):
            pass
        self._intact.pop(key, None)
        return False

    def missing(self, deformations: Iterable[Deformation]) -> list[Deformation]:
        """The deformations without an intact sealed state, in the order of the argument, each once."""
        unique = {self.key(deformation): deformation for deformation in deformations}
        return [deformation for deformation in unique.values() if not self.has(deformation)]

    def write(self, state: CellState) -> None:
        """Seal a state: when this returns, it survives a crash. Removes the record of an earlier failure.

        Raises:
            InputError: not a state of this crystal, or not finite.
            StoreError: the file system refused; what was there before is intact.
        """
        self._require_fitting(state)
        key = self.key(state.deformation)
        data = _codec.encode_state(state, record=self._record(key) | self._origin())
        if state.fields is not None:
            self._write_basis(state.fields.basis)
        write_durably(self._state_path(key), data)
        self._forget_failure(key)

    def read(self, deformation: Deformation) -> CellState:
        """The sealed state of a deformation.

        Raises:
            InputError: there is none.
            CorruptFileError: its file is truncated or altered; labelling again solves it anew.
        """
        key = self.key(deformation)
        if not self._state_path(key).exists():
            values = ", ".join(f"{x:g}" for x in deformation.as_array())
            raise InputError(f"dataset {self.directory} has no state for D = ({values})")
        return self._read(key)

    def states(self) -> Iterator[CellState]:
        """All sealed states, read one at a time, in the order of their keys, whatever order they were solved in.

        Raises:
            CorruptFileError: a file is truncated or altered.
        """
        for key in self._keys("states", ".safetensors"):
            yield self._read(key)

    def deformations(self) -> dict[str, Deformation]:
        """Key → deformation of every sealed state, in the order of the keys; fields and atoms are not decoded.

        Raises:
            CorruptFileError: a file is truncated or altered.
        """
        strains: dict[str, Deformation] = {}
        for key in self._keys("states", ".safetensors"):
            path = self._state_path(key)
            present = _file_identity(path)
            strains[key] = _codec.decode_deformation(sealed.read_limited(path), str(path))
            self._intact[key] = present
        return strains

    def info(self) -> DatasetInfo:
        """Counts and settings, from the names of the files alone."""
        solved = self._keys("states", ".safetensors")
        failed = set(self._keys("failures", ".json")) - set(solved)
        return DatasetInfo(
            directory=str(self.directory),
            solved=len(solved),
            failed=len(failed),
            bytes_on_disk=sum(_size(path) for path in self.directory.rglob("*")),
            version=self._settings["version"],
            crystal=self._settings["crystal"],
            engine=dict(self.identity.table),
            crystal_hash=self._settings["crystal_hash"],
            engine_hash=self._settings["engine_hash"],
        )

    # -- failures -----------------------------------------------------------------------------------------------

    def record_failure(self, deformation: Deformation, error: BaseException | Failure) -> None:
        """Record why a sample has no state.

        Raises:
            StoreError: the file system refused.
        """
        failure = error if isinstance(error, Failure) else Failure.from_error(deformation, error)
        data = json.dumps(plain(failure.to_dict(), "failure"), indent=1, allow_nan=False).encode()
        write_durably(self._failure_path(self.key(deformation)), data)

    def failures(self) -> list[Failure]:
        """The samples that failed and have no state since, in the order of their keys."""
        solved = set(self._keys("states", ".safetensors"))
        recorded = (self._failure(key) for key in self._keys("failures", ".json") if key not in solved)
        return [failure for failure in recorded if failure is not None]

    def failure(self, deformation: Deformation) -> Failure | None:
        """The record of this deformation's failure, or None; a damaged one counts as none, as a damaged state does."""
        try:
            return self._failure(self.key(deformation))
        except InputError:
            return None

    # -- files --------------------------------------------------------------------------------------------------

    def _state_path(self, key: str) -> Path:
        return self.directory / "states" / f"{key}.safetensors"

    def _failure_path(self, key: str) -> Path:
        return self.directory / "failures" / f"{key}.json"

    def _basis_path(self, name: str) -> Path:
        return self.directory / "bases" / f"{name}.safetensors"

    def _keys(self, folder: str, suffix: str) -> list[str]:
        names = (path.name for path in (self.directory / folder).glob(f"*{suffix}"))
        return sorted(name.removesuffix(suffix) for name in names if not name.startswith("."))

    def _record(self, key: str) -> dict[str, str]:
        return {"input": key, "crystal": self._settings["crystal_hash"], "engine": self._settings["engine_hash"]}

    def _origin(self) -> dict[str, str]:
        """What a state's record says beyond what it must agree with: the code and each element's pseudopotential."""
        hashes = {f"pseudopotential.{symbol}": str(h) for symbol, h in self.identity.pseudopotentials.items()}
        return {"version": __version__, **hashes}

    def _read(self, key: str) -> CellState:
        path = self._state_path(key)
        present = _file_identity(path) if path.is_file() else None
        data = sealed.read_limited(path)
        state = _codec.decode_state(data, bases=self._basis, record=self._record(key), name=str(path))
        if present is not None:
            self._intact[key] = present
        return state

    def _failure(self, key: str) -> Failure | None:
        path = self._failure_path(key)
        if not path.exists():  # also one that a success has just removed
            return None
        return Failure.from_dict(loads(sealed.read_limited(path), str(path)), str(path))

    def _basis(self, name: str) -> FourierBasis:
        if name not in self._bases:
            path = self._basis_path(name)
            if len(name) != 64 or not set(name) <= set("0123456789abcdef"):
                raise CorruptFileError(f"{name[:70]!r} is not the hash of a Fourier basis")
            self._bases[name] = _codec.decode_basis(sealed.read_limited(path), expected=name, name=str(path))
        return self._bases[name]

    def _write_basis(self, basis: FourierBasis) -> None:
        path = self._basis_path(_codec.basis_hash(basis))
        try:
            self._basis(path.stem)
        except InputError:  # not there yet, or damaged
            write_durably(path, _codec.encode_basis(basis))
        else:
            settle(path.parent)  # the state to be sealed must not outlive its basis

    def _forget_failure(self, key: str) -> None:
        try:
            self._failure_path(key).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot remove {self._failure_path(key)}: {error.strerror or error}") from error

    def _require_fitting(self, state: CellState) -> None:
        crystal = self.crystal
        if np.shape(state.positions) != (crystal.n_atoms, 3) or np.shape(state.internal) != (crystal.n_internal,):
            raise InputError(
                f"state of {np.shape(state.positions)} positions and {np.shape(state.internal)} internal coordinates "
                f"does not belong to this dataset's {crystal!r}"
            )
        if np.shape(state.lattice) != (3, 3) or not np.allclose(
            state.lattice, state.deformation.lattice(crystal), rtol=0, atol=1e-6
        ):
            raise InputError("lattice of the state is not its deformation applied to the dataset's crystal")


def _file_identity(path: Path) -> tuple[int, int, int]:
    """What changes when a file is replaced or written to: inode, size, time of the last change (ns)."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _create(directory: Path, table: Mapping[str, Any]) -> None:
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file; a dataset needs a directory")
    sealed = any((directory / "states").glob("*.safetensors"))
    if sealed and not (directory / _DESCRIPTION).exists():  # another process may have begun at the same time
        raise InputError(f"{directory} holds sealed states but no {_DESCRIPTION}: restore it, or use another directory")
    for folder in _FOLDERS:
        make_directory(directory / folder)
    write_durably(directory / _DESCRIPTION, seal_table(table))  # last: where it is, everything else is


def _read_description(directory: Path) -> dict[str, Any]:
    path = directory / _DESCRIPTION
    if not path.is_file():
        raise InputError(f"{directory} is not a cellfields dataset: it has no {_DESCRIPTION}")
    return read_settings(sealed.read_limited(path), str(path))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # renamed while a campaign is running
        return 0
