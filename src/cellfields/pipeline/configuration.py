"""One TOML file says everything: crystal, engine, strains to sample, surrogate recipe, where to write.

    [crystal]  [engine]  [abinit]  [sampling]  [surrogate]  [output]   →   Configuration   (unknown keys are refused)
    [crystal]  [imported]  [surrogate]  [output]             →   ImportedConfiguration: states of another code's

Lengths are in Bohr unless the key says ``_angstrom``; paths are relative to the TOML file. Whatever is wrong becomes
one sentence that names ``table.key``, the value and what is allowed.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError

from cellfields.crystal import Crystal, Inversion
from cellfields.crystal.deformation import ANGLE_RANGE, Component, Deformation, sample_deformations
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.abinit.settings import AbinitOptions
from cellfields.errors import CorruptFileError, InputError
from cellfields.surrogate.recipe import AnyRecipe, PaperNetworks
from cellfields.surrogate.training_size import MINIMUM_TRAINING_STATES
from cellfields.text import decode_text
from cellfields.units import ANGSTROM
from cellfields.validation import Table, sentence, short

Triple = tuple[float, float, float]
Rows = tuple[Triple, Triple, Triple]
Positive = Annotated[float, Field(gt=0)]
Angle = Annotated[float, Field(ge=ANGLE_RANGE[0], le=ANGLE_RANGE[1])]
MeshNumber = Annotated[int, Field(ge=1, le=10_000)]

_GEOMETRIES = ("lengths", "lengths_angstrom", "lattice", "lattice_angstrom", "structure")


_NO_STUDIES = {
    ".safetensors": "a trained model (`cellfields predict` answers from it)",
    ".pack": "a packed dataset (`cellfields unpack` restores it)",
    ".cif": "a structure (`cellfields init --structure` writes a study of it)",
}


class CrystalTable(Table):
    """``[crystal]``: the reference cell, by exactly one of lengths + angles, lattice vectors, or a structure file."""

    lengths: tuple[Positive, Positive, Positive] | None = Field(default=None, description="edge lengths in Bohr")
    lengths_angstrom: tuple[Positive, Positive, Positive] | None = Field(default=None, description="edge lengths in Å")
    angles: tuple[Angle, Angle, Angle] | None = Field(
        default=None, description="angles (b,c), (a,c), (a,b) in degrees, not radians"
    )
    lattice: tuple[Triple, Triple, Triple] | None = Field(
        default=None, description="lattice vectors in Bohr, one a row"
    )
    lattice_angstrom: tuple[Triple, Triple, Triple] | None = Field(
        default=None, description="lattice vectors in Å, one a row"
    )
    species: tuple[str, ...] | None = Field(default=None, description="chemical symbols, one an atom")
    positions: tuple[Triple, ...] | None = Field(default=None, description="fractional coordinates, one row an atom")
    structure: Path | None = Field(default=None, description="structure file: CIF, POSCAR, extended XYZ, XSF, …")
    structure_index: int | None = Field(default=None, description="which structure of the file, from 0")
    inversion: Inversion = Field(default="impose", description="whether relaxation keeps an inversion centre")

    def build(self) -> Crystal:
        """The crystal that this table describes.

        Raises:
            InputError: none or several geometries, missing companions, or anything :class:`Crystal` refuses.
        """
        given = [name for name in _GEOMETRIES if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(f"crystal.{name}" for name in given) or "none"
            raise InputError(f"[crystal] needs exactly one of {', '.join(_GEOMETRIES)}; found {found}")
        geometry = given[0]
        needed = {"structure": set(), "lattice": {"species", "positions"}}.get(
            geometry.removesuffix("_angstrom"), {"species", "positions", "angles"}
        )
        for name in ("species", "positions", "angles"):
            if (getattr(self, name) is not None) != (name in needed):
                verb = "is missing: it must" if name in needed else "must not"
                raise InputError(f"crystal.{name} {verb} be given together with crystal.{geometry}")
        if self.structure is not None:
            return Crystal.from_file(self.structure, index=self.structure_index, inversion=self.inversion)
        if self.structure_index is not None:
            raise InputError(f"crystal.structure_index must not be given together with crystal.{geometry}")
        assert self.species is not None and self.positions is not None  # the loop above saw to it
        scale = 1 / ANGSTROM if geometry.endswith("_angstrom") else 1.0
        try:
            if self.angles is not None:
                lengths = [x * scale for x in getattr(self, geometry)]
                return Crystal.from_lengths_and_angles(
                    lengths, self.angles, self.species, self.positions, inversion=self.inversion
                )
            lattice = [[x * scale for x in row] for row in getattr(self, geometry)]
            return Crystal(lattice, self.species, self.positions, inversion=self.inversion)
        except InputError as error:
            raise InputError(f"[crystal] {error}") from error


class SamplingTable(Table):
    """``[sampling]``: how many strains to draw, and how far they reach (paper, section 4.2)."""

    train: int = Field(..., ge=MINIMUM_TRAINING_STATES, le=1_000_000, description="number of training strains")
    test: int = Field(..., ge=2, le=1_000_000, description="number of unseen test strains")
    seed: int = Field(default=0, ge=0, description="training strains use seed, test strains seed + 1")
    stretch_sigma: float = Field(default=0.05, gt=0, le=0.2, description="standard deviation of each stretch")
    angle_sigma: float = Field(default=3.0, ge=0, le=15, description="standard deviation of each angle, degrees")
    cut: float = Field(default=2.0, gt=0, le=4, description="truncation in standard deviations")
    decimals: int = Field(default=4, ge=2, le=12, description="rounding of the six numbers of D")
    hold: tuple[Component, ...] = Field(
        default=(), max_length=5, description="components of D that keep their reference value"
    )

    def train_deformations(self, crystal: Crystal) -> list[Deformation]:
        """The training strains: drawn with ``seed``; a larger ``train`` extends the list."""
        return self._draw(crystal, self.train, self.seed)

    def test_deformations(self, crystal: Crystal) -> list[Deformation]:
        """The unseen strains: drawn with ``seed + 1``, without those that the training set happens to hold."""
        seen = {tuple(d.as_array()) for d in self.train_deformations(crystal)}
        return [d for d in self._draw(crystal, self.test, self.seed + 1) if tuple(d.as_array()) not in seen]

    def _draw(self, crystal: Crystal, count: int, seed: int) -> list[Deformation]:
        options = self.model_dump(include={"stretch_sigma", "angle_sigma", "cut", "decimals", "hold"})
        return sample_deformations(crystal, count, seed=seed, **options)


class OutputTable(Table):
    """``[output]``: where results go, and how many solves run at a time."""

    directory: Path = Field(default=Path("run"), description="folder for dataset, model and report")
    workers: int = Field(default=1, ge=1, le=4096, description="number of solves at a time, one core each")


class ImportedTable(Table):
    """``[imported]``, instead of ``[engine]`` and ``[sampling]``: another code computed the states."""

    description: str = Field(
        ..., min_length=1, max_length=200, description="which code computed the states, and with which settings"
    )
    field_cutoff: float = Field(
        default=40.0, gt=0, le=1000, description="½|G|² of the reference cell up to which fields are kept, Hartree"
    )
    max_loss: float = Field(
        default=0.01, gt=0, le=1, description="part of a field (relative L²) that an import may lose"
    )
    kmesh: tuple[MeshNumber, MeshNumber, MeshNumber] | None = Field(
        default=None, description="k points along each axis of the crystal's own cell; unless told, unknown"
    )
    electrons: float | None = Field(
        default=None, gt=0, le=1e5, description="in the crystal's cell, where whole valences do not give the number"
    )
    test: int = Field(..., ge=2, le=1_000_000, description="number of states to judge by, not learned from")
    seed: int = Field(default=0, ge=0, description="decides which states those are")


class _Study(Table):
    crystal: CrystalTable
    surrogate: AnyRecipe = PaperNetworks()
    output: OutputTable = OutputTable()

    @property
    def dataset_directory(self) -> Path:
        """Where the solves are kept; training and test states share it."""
        return self.output.directory / "dataset"

    @property
    def model_path(self) -> Path:
        """The trained surrogate."""
        return self.output.directory / "model.safetensors"

    @property
    def evaluation_path(self) -> Path:
        """The numbers of the evaluation."""
        return self.output.directory / "evaluation.json"

    @property
    def report_path(self) -> Path:
        """The report, one self-contained page."""
        return self.output.directory / "report.html"


class Configuration(_Study):
    """A study from crystal to report. Paths are absolute once loaded with :func:`load_configuration`.

    The engine is the embedded one, or ABINIT with the same settings where there is a table ``[abinit]``, even an empty
    one: it says how ABINIT is launched (:class:`~cellfields.engines.abinit.AbinitOptions`).
    """

    engine: PlaneWaveSettings
    abinit: AbinitOptions | None = None
    sampling: SamplingTable

    def with_pseudopotentials(self, files: Mapping[str, Path]) -> Self:
        """This study with further pseudopotential files (symbol → path), which go before those that it names."""
        merged = {**self.engine.pseudopotentials, **files}
        engine = self.engine.model_copy(update={"pseudopotentials": merged})
        return self.model_copy(update={"engine": engine})


class ImportedConfiguration(_Study):
    """A study of states that another code computed. Paths are absolute once loaded with :func:`load_study`."""

    imported: ImportedTable


def load_configuration(path: str | Path) -> Configuration:
    """Read and check a TOML file of a study that solves.

    Raises:
        InputError: as :func:`load_study`, or the study imports its states.
    """
    configuration = load_study(path)
    if isinstance(configuration, ImportedConfiguration):
        raise InputError(f"the states of {path} are imported: it has no [engine] to solve with")
    return configuration


def load_study(path: str | Path) -> Configuration | ImportedConfiguration:
    """Read and check a TOML file.

    Raises:
        InputError: the file is missing or not TOML, a key is unknown or missing, or a value is out of range.
    """
    path = Path(path)
    if path.suffix.lower() in _NO_STUDIES:
        raise InputError(f"{path} is {_NO_STUDIES[path.suffix.lower()]}, where a study file (TOML) is wanted")
    if path.is_dir():
        raise InputError(f"{path} is a folder, where a study file (TOML) is wanted; name the file in it")
    try:
        table = tomllib.loads(decode_text(path.read_bytes(), str(path)))
    except FileNotFoundError:
        raise InputError(f"configuration file {path} does not exist (`cellfields init` writes one)") from None
    except OSError as error:
        raise InputError(f"configuration file {path} cannot be read: {error.strerror}") from None
    except CorruptFileError:
        raise InputError(f"configuration file {path} is no text file") from None
    except RecursionError:
        raise InputError(f"{path} is not valid TOML: it is nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        raise InputError(f"{path} is not valid TOML: {str(error)[:200]}") from None
    if not table:
        raise InputError(f"configuration file {path} is empty (`cellfields init` writes one to start from)")
    return parse_configuration(table, path.resolve().parent)


def parse_configuration(table: Mapping[str, Any], folder: Path) -> Configuration | ImportedConfiguration:
    """Check a table as :mod:`tomllib` makes it; relative paths in it are relative to ``folder``.

    ``[imported]`` makes it an :class:`ImportedConfiguration`.

    Raises:
        InputError: a key is unknown or missing, or a value is of the wrong type or out of range.
    """
    kind = ImportedConfiguration if "imported" in table else Configuration
    # Strict JSON validation: a list may be a tuple and a string a path, but "3" is no number and true is no 1.
    try:
        text = json.dumps(_with_absolute_paths(table, folder), default=str)
        configuration = kind.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise InputError(sentence(error, kind)) from None
    if configuration.output.directory.exists() and not configuration.output.directory.is_dir():
        raise InputError(f"output.directory = {str(configuration.output.directory)!r} is a file, it must be a folder")
    return configuration


def _with_absolute_paths(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    resolved: dict[str, Any] = json.loads(json.dumps(table, default=str))

    def resolve(holder: Any, key: str) -> None:
        if isinstance(holder, dict) and isinstance(text := holder.get(key), str):
            try:
                holder[key] = str(folder / Path(text).expanduser())
                Path(holder[key]).lstat()
            except FileNotFoundError:
                pass
            except (OSError, ValueError, RuntimeError) as error:  # too long, a zero byte, an unknown user's home
                reason = getattr(error, "strerror", None) or error
                raise InputError(f"{key[:60]} = {short(text)} is not a usable path: {reason}") from None

    resolve(resolved.get("crystal"), "structure")
    output = resolved.setdefault("output", {})
    if isinstance(output, dict):
        output.setdefault("directory", "run")
    resolve(output, "directory")
    resolve(resolved.get("abinit"), "scratch")
    engine = resolved.get("engine")
    files = engine.get("pseudopotentials") if isinstance(engine, dict) else None
    for symbol in files if isinstance(files, dict) else ():
        resolve(files, symbol)
    return resolved
