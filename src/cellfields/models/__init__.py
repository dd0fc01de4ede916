"""Models that ship with the package: ``<name>.safetensors``, beside it ``<name>.md``, its card (data, errors, domain).

A name stands wherever the path of a model may stand; a file of that very name comes first. This
module turns a name into a path; ``surrogate`` reads the file.
"""

from __future__ import annotations

from pathlib import Path

from cellfields.errors import InputError

_FOLDER = Path(__file__).parent
_SUFFIX = ".safetensors"


def names() -> tuple[str, ...]:
    """Names of the models that ship, in order."""
    return tuple(sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}")))


def is_name(model: str | Path) -> bool:
    """Whether this can only be meant as a name: a bare word that is no file here."""
    path = Path(model)
    return str(model) == path.name and not path.suffix and not path.is_file()


def find(model: str | Path) -> Path:
    """The file of a model given by its path or by its name.

    Raises:
        InputError: a bare word that is neither a file, nor a folder, nor a name.
    """
    if not is_name(model):
        return Path(model)
    path = _FOLDER / f"{model}{_SUFFIX}"
    if not path.is_file():
        if Path(model).exists():
            return Path(model)
        known = ", ".join(names()) or "none"
        raise InputError(f"model {str(model)!r} is neither a file nor the name of a model that ships here ({known})")
    return path


def card(model: str | Path) -> str | None:
    """The text of a model's card, the Markdown file beside it; None where there is none.

    Raises:
        InputError: as :func:`find`.
    """
    path = find(model).with_suffix(".md")
    return path.read_text(encoding="utf-8") if path.is_file() else None
