"""Folders in which ABINIT begins with a prediction: the engine's settings, checked against the training states.

    identity of the labels     →  AbinitEngine            (pseudopotentials must be those of the built-in table)
    study + identity           →  AbinitEngine            settings that a density depends on must agree

A density depends strongly on pseudopotentials, cutoff, functional and FFT grid, which must agree. It depends little on
k mesh, smearing and the other settings, which may differ and are reported.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cellfields.crystal import Crystal
from cellfields.dft.pseudopotential import load_pseudopotentials
from cellfields.dft.settings import PlaneWaveSettings
from cellfields.engines.abinit.abinit_engine import AbinitEngine
from cellfields.engines.abinit.input import AbinitInput
from cellfields.engines.abinit.pseudopotentials import pseudopotential_file
from cellfields.engines.abinit.settings import AbinitOptions
from cellfields.engines.identity import ABINIT, PLANE_WAVES, EngineIdentity
from cellfields.errors import CellFieldsError, InputError, SettingsMismatchError

_MUST_AGREE = ("cutoff", "functional", "fft_grid", "pseudopotentials")
_MAY_DIFFER = ("kmesh", "cutoff_smoothing", "smearing", "smearing_width", "time_reversal", "bands")
_README = """\
Written by cellfields: ABINIT begins with a predicted density (start_DEN) and predicted atoms.
Run it here: abinit run.abi > log
"""


def engine_of_identity(crystal: Crystal, identity: EngineIdentity | None) -> AbinitEngine:
    """The ABINIT engine that the identity of a model's training states describes.

    Raises:
        InputError: the identity is missing or of another code, or its pseudopotentials are not the built-in table's.
    """
    settings = _settings_of(identity)
    if identity is None or settings is None:
        raise InputError("the model does not say with which settings its training states were computed: give --study")
    engine = AbinitEngine(crystal, settings, AbinitOptions(variables=dict(identity.variables)))
    if _pseudopotentials(crystal, settings, identity) != identity.pseudopotentials:
        raise InputError(
            "the model was trained with pseudopotentials that are not those of the built-in table: give --study, whose "
            "[engine] names the files"
        )
    return engine


def engine_of_study(
    crystal: Crystal,
    identity: EngineIdentity | None,
    other: Crystal,
    settings: PlaneWaveSettings,
    options: AbinitOptions | None,
) -> tuple[AbinitEngine, list[str]]:
    """The engine that a study describes, and the names of settings in which the model's training differed.

    Args:
        crystal: the model's.
        identity: of the engine that made the training states, or None where it is not known; then no settings are
            compared.
        other: the study's crystal.
        settings: its ``[engine]``.
        options: its ``[abinit]``.

    Raises:
        SettingsMismatchError: another crystal, cutoff, functional, FFT grid or pseudopotential.
    """
    if crystal != other:
        raise SettingsMismatchError("the study's [crystal] is another one than the model's")
    settings = settings.model_copy(update={"plane_waves": "k_sphere"})
    engine = AbinitEngine(crystal, settings, options)
    trained = _settings_of(identity)
    if identity is None or trained is None:
        return engine, []
    for name in _MUST_AGREE:
        in_study, in_training = getattr(settings, name, None), getattr(trained, name, None)
        if name == "pseudopotentials":
            in_study, in_training = _pseudopotentials(crystal, settings, identity), identity.pseudopotentials
        if in_study != in_training:
            raise SettingsMismatchError(
                f"engine.{name} = {_shown(in_study)} in the study does not match the model's training states: "
                f"{_shown(in_training)} there"
            )
    return engine, [name for name in _MAY_DIFFER if getattr(settings, name) != getattr(trained, name)]


def write_folder(folder: Path, run: AbinitInput) -> None:
    """Write a run into a new or empty folder; after a failure none of it is there.

    Raises:
        InputError: the folder is not empty, or cannot be made.
    """
    folder = folder.absolute()
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"--abinit {folder} must be a new or an empty folder")
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            run.write(temporary)
            (temporary / "README").write_text(_README, encoding="ascii")
            temporary.chmod(0o777 & ~_umask())
            os.replace(temporary, folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    except OSError as error:
        raise InputError(f"--abinit {folder}: {error.strerror or error}") from error


def _settings_of(identity: EngineIdentity | None) -> PlaneWaveSettings | None:
    """Settings of an identity, without pseudopotentials; None where it is of another code.

    Raises:
        InputError: this version does not accept the settings.
    """
    if identity is None or identity.kind not in (PLANE_WAVES, ABINIT):
        return None
    settings = {**identity.settings, "pseudopotentials": {}, "plane_waves": "k_sphere"}
    try:
        # Settings that were introduced after the model was made are not in its table; they take their defaults.
        return PlaneWaveSettings.model_validate(settings)
    except ValueError as error:
        raise InputError(
            f"the model's settings are none of this version: {' '.join(str(error).split())[:200]}"
        ) from None


def _pseudopotentials(crystal: Crystal, settings: PlaneWaveSettings, identity: EngineIdentity) -> dict[str, str] | None:
    """Fingerprints of the settings' pseudopotentials, computed as the engine of the training states computes them.

    None where that engine cannot read the files.
    """
    try:
        if identity.kind == PLANE_WAVES:
            return {symbol: ion.fingerprint for symbol, ion in load_pseudopotentials(crystal.species, settings).items()}
        return {symbol: pseudopotential_file(symbol, settings).fingerprint for symbol in dict.fromkeys(crystal.species)}
    except CellFieldsError:
        return None


def _shown(value: Any) -> str:
    """A setting as text for a message; fingerprints are shortened."""
    if isinstance(value, Mapping):
        return ", ".join(f"{symbol} {str(text)[:12]}" for symbol, text in value.items())
    return str(value)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
