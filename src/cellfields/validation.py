"""Tables of settings that are checked when they are made, and whose errors are one sentence for a person.

    pydantic's list of errors  →  "engine.smearing_width = 1e-06 must be in 1e-05 … 1 (description)"

The same sentences come from a table in a TOML file and from a class called in Python.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any, cast, get_args

from pydantic import BaseModel, ConfigDict, Tag, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cellfields.errors import InputError


class Table(BaseModel):
    """Base of all tables of settings: immutable, unknown keys are refused.

    Raises:
        InputError: a key is unknown or missing, or a value is of the wrong type or out of range.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(sentence(error, type(self))) from None

    # A table inside another one is validated by pydantic itself, which then knows the whole name of a wrong key; it
    # calls an __init__ that is not marked as its own kind.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def refusal_of_key(cls, key: str, path: str) -> str:
        """One sentence about a key that this table does not have, with all those that it has.

        Args:
            key: the unknown key.
            path: the key with the names of the tables that it stands in, as "sampling.trian".
        """
        close = difflib.get_close_matches(key, cls.model_fields, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return f"unknown key {path}{hint}; allowed here: {', '.join(cls.model_fields)}"


def sentence(error: ValidationError, root: type[Table]) -> str:
    """The most telling of pydantic's errors about a table of type ``root``, in one sentence that names the key."""
    # A key that is misspelt is also missing: say the former.
    return _sentence(min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden"), root)


def short(value: Any) -> str:
    """A value as JSON writes it, in at most 60 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


_KINDS = {
    "int": "an integer",
    "float": "a number",
    "string": "a string in quotes",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a table",
    "model": "a table",
    "path": "a path in quotes",
    "none": "absent",
}
_BOUNDS = {
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
}


def _sentence(error: ErrorDetails, root: type[Table]) -> str:
    given = tuple(part for part in error["loc"] if not (isinstance(part, str) and "[" in part))
    location, field, owner = _field_at(given, root)
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:60]}" for part in location).lstrip(".")
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return owner.refusal_of_key(str(location[-1]), name)
    about = f" ({field.description})" if field is not None and field.description else ""
    if kind == "missing":
        if isinstance(location[-1], int):
            name = name[: name.rindex("[")]
            return (
                f"{name} = {short(error['input'])} holds too few entries, number {location[-1] + 1} is missing{about}"
            )
        is_table = field is not None and _is_table(field.annotation)
        return f"{'table [' + name + ']' if is_table and len(location) == 1 else name} is missing{about}"
    if kind == "union_tag_invalid":  # all such unions are told apart by the key ``name``
        return f"{name}.name = {short(context['tag'])} must be one of {context['expected_tags']}{about}"
    start = f"{name} = {short(error['input'])}"
    if kind == "value_error":
        message = str(context.get("error", error["msg"]))
        return message if name in message else f"{start}: {message}"
    if kind in _BOUNDS:
        return f"{start} must be {_range(field) or _BOUNDS[kind].format(**context)}{about}"
    if kind in ("literal_error", "enum"):
        return f"{start} must be one of {context['expected']}{about}"
    if kind in ("too_long", "too_short"):
        limit = f"at most {context['max_length']}" if kind == "too_long" else f"at least {context['min_length']}"
        return f"{start} must hold {limit} entries, not {context['actual_length']}{about}"
    if kind == "finite_number":
        return (
            f"{start} must be a finite number{about}"
            if not _range(field)
            else f"{start} must be {_range(field)}{about}"
        )
    if kind.endswith(("_type", "_parsing", "_from_float")):
        what = _KINDS.get(kind.split("_")[0], "of another type")
        if numbers := _range(field):
            what += f" of numbers {numbers}" if what == "a list" else f" {numbers}"
        return f"{start} must be {what}{about}"
    return f"{start}: {error['msg'][0].lower()}{error['msg'][1:]}{about}"


def _field_at(location: tuple[Any, ...], root: type[Table]) -> tuple[tuple[Any, ...], FieldInfo | None, type[Table]]:
    """What pydantic's location of an error means to a person.

    Returns:
        The location as a person writes it: without the tags by which pydantic names the members of a tagged union.
        The pydantic field there, None for an unknown key. The table that holds or should hold it.
    """
    owner = root
    field: FieldInfo | None = None
    written: list[Any] = []
    rest = list(location)
    while rest:
        written.append(part := rest.pop(0))
        field = owner.model_fields.get(part)
        annotation: Any = getattr(field, "annotation", None)
        if field is not None and field.discriminator is not None and rest:
            inner = _member(annotation, rest.pop(0))
        else:  # also "table or None"
            inner = next((t for t in (annotation, *get_args(annotation)) if _is_table(t)), None)
        if not rest or inner is None:
            break
        owner = inner
    return (*written, *rest), field, owner


def _member(union: Any, tag: str) -> type[Table] | None:
    """The table in a union of tagged tables that has this tag."""
    for member in get_args(union):
        table, *metadata = get_args(member)
        if Tag(tag) in metadata:
            return cast(type[Table], table)
    return None


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Table)


def _range(field: FieldInfo | None) -> str:
    """The numbers that a field (or each entry of it) allows, in words; empty when it has no bounds of its own."""
    bounds: dict[str, float] = {}
    if field is not None:
        _collect_bounds([*field.metadata, field.annotation], bounds)
    low, high = bounds.get("ge"), bounds.get("le")
    if low is not None and high is not None:
        return f"in {low:.10g} … {high:.10g}"
    words = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}
    return " and ".join(f"{words[name]} {bounds[name]:.10g}" for name in words if name in bounds)


def _collect_bounds(items: Iterable[Any], bounds: dict[str, float]) -> None:
    for item in items:
        for name in ("gt", "ge", "lt", "le"):
            if getattr(item, name, None) is not None:
                bounds[name] = getattr(item, name)
        _collect_bounds([*getattr(item, "metadata", ()), *getattr(item, "__metadata__", ()), *get_args(item)], bounds)
