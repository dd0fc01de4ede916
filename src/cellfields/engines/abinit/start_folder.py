"""A folder in which ABINIT begins with a prediction: whose settings, and do they fit the states that taught it?

    identity of the labels     →  AbinitEngine            (pseudopotentials must be those of the built-in table)
    study + identity           →  AbinitEngine            what makes a density another one must be the same

A density belongs to pseudopotentials, cutoff, functional and FFT grid. The k mesh, the smearing and the rest move it a
little: those may differ, and are told.
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
        InputError: there is none, it is another code's, or its pseudopotentials are not those of the built-in table.
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
        identity: of the engine that made the training states, or None where nothing is known of it; then the density
            itself is all that is checked.
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
        mine, theirs = getattr(settings, name, None), getattr(trained, name, None)
        if name == "pseudopotentials":
            mine, theirs = _pseudopotentials(crystal, settings, identity), identity.pseudopotentials
        if mine != theirs:
            raise SettingsMismatchError(
                f"engine.{name} = {_told(mine)} in the study does not match the model's training states: "
                f"{_told(theirs)} there"
            )
    return engine, [name for name in _MAY_DIFFER if getattr(settings, name) != getattr(trained, name)]


def write_folder(folder: Path, run: AbinitInput) -> None:
    """Write a run into a folder that does not exist yet, or is empty: all of it or nothing.

    Raises:
        InputError: the folder holds something, or cannot be made.
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
    """Settings of an identity, without pseudopotentials; None where it is not of one of our engines."""
    if identity is None or identity.kind not in (PLANE_WAVES, ABINIT):
        return None
    settings = {**identity.settings, "pseudopotentials": {}, "plane_waves": "k_sphere"}
    try:
        # Settings that came later than the model are not in its table, and have their default.
        return PlaneWaveSettings.model_validate(settings)
    except ValueError as error:
        raise InputError(
            f"the model's settings are none of this version: {' '.join(str(error).split())[:200]}"
        ) from None


def _pseudopotentials(crystal: Crystal, settings: PlaneWaveSettings, identity: EngineIdentity) -> dict[str, str] | None:
    """Fingerprints as the engine that made the training states takes them; None: it cannot read these files."""
    try:
        if identity.kind == PLANE_WAVES:
            return {symbol: ion.fingerprint for symbol, ion in load_pseudopotentials(crystal.species, settings).items()}
        return {symbol: pseudopotential_file(symbol, settings).fingerprint for symbol in dict.fromkeys(crystal.species)}
    except CellFieldsError:
        return None


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{symbol} {str(text)[:12]}" for symbol, text in value.items())
    return str(value)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
