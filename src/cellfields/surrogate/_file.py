"""A surrogate as one sealed safetensors file: tensors, and one JSON header that says what they are.

    sha256 = SHA-256( header content, then name, type, shape and bytes of every tensor in order of name )

Nothing in the file is ever executed. A changed byte anywhere changes the sum, and the file is refused. Numbers that
single precision holds exactly are stored in it, and of modes only the columns up to the last that is not zero, so that
models of compact.py are small. A model is read as it was written, to the last bit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cellfields._typing import Array, FloatArray
from cellfields.crystal import Crystal
from cellfields.errors import CorruptFileError, InputError
from cellfields.state.fields import FourierBasis
from cellfields.storage.atomic import write_durably
from cellfields.storage.json_tables import loads, plain
from cellfields.surrogate.network import Network, Regressor
from cellfields.surrogate.reduction import Reduction
from cellfields.surrogate.state_encoding import NUMBERS, StateEncoding
from cellfields.surrogate.training_domain import TrainingDomain
from cellfields.surrogate.uncertainty import Uncertainty

FORMAT = "cellfields-surrogate"
VERSION = 1
_KEY = "cellfields"  # the only entry of safetensors' own metadata: several would come in random order
_DTYPES = ("float64", "float32", "int64")
_REGRESSOR_PARTS = ("input_mean", "input_scale", "output_mean", "output_scale", "trend")
_DOMAIN_PARTS = ("lower", "upper", "mean", "whitening")
_UNCERTAINTY_PARTS = ("input_mean", "input_scale", "root")


# -- the container ------------------------------------------------------------------------------------------------


def write_model(path: Path, tensors: Mapping[str, Array], content: Mapping[str, Any]) -> None:
    """Write tensors and JSON content to ``path`` durably: the file is written whole or not at all.

    Raises:
        InputError: the folder does not exist.
        StoreError: the operating system refused the write.
    """
    if not path.parent.is_dir():
        raise InputError(f"model file {path} cannot be written: folder {path.parent} does not exist")
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    content = plain(content, "model")
    header = {"format": FORMAT, "version": VERSION, "sha256": _digest(content, arrays), "content": content}
    write_durably(path, save(arrays, metadata={_KEY: json.dumps(header)}))


def read_model(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Tensors and JSON content of a file that :func:`write_model` wrote.

    Raises:
        InputError: there is no such file, or its version is newer than this code.
        CorruptFileError: the file is truncated, altered, or not a surrogate.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder, where a model file (.safetensors) is wanted; name the file in it")
    if not path.is_file():
        raise InputError(f"model file {path} does not exist")
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:  # also types that NumPy lacks
        raise CorruptFileError(f"model file {path} is truncated, damaged, or not a safetensors file") from error
    try:
        header = loads(metadata[_KEY], f"model file {path}")
        kind, version, digest, content = (header[key] for key in ("format", "version", "sha256", "content"))
    except KeyError as error:
        raise CorruptFileError(f"{path} is a safetensors file, but not a cellfields surrogate") from error
    if kind != FORMAT or not isinstance(content, dict):
        raise CorruptFileError(f"{path} is a {str(kind)[:40]!r} file, not a surrogate")
    if version != VERSION:
        raise InputError(
            f"model file {path} has format version {str(version)[:20]}; this cellfields reads version {VERSION}"
        )
    for name, array in tensors.items():
        if array.dtype.name not in _DTYPES:
            raise CorruptFileError(f"model file {path} is malformed: {name[:40]!r} is an array of {array.dtype.name}")
    if digest != _digest(content, tensors):
        raise CorruptFileError(f"model file {path} was altered after it was written (its SHA-256 does not match)")
    return tensors, content


def _digest(content: Mapping[str, Any], tensors: Mapping[str, Array]) -> str:
    sha = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name]
        sha.update(f"|{name}|{array.dtype.str}|{array.shape}|".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


# -- the content -------------------------------------------------------------------------------------------------


def pack(
    encoding: StateEncoding,
    regressors: Mapping[str, Regressor],
    domain: TrainingDomain,
    uncertainty: Uncertainty | None,
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Tensors and JSON-able table of a surrogate's parts."""
    tensors: dict[str, Array] = {f"domain.{part}": getattr(domain, part) for part in _DOMAIN_PARTS}
    if encoding.basis is not None:
        tensors["basis.indices"] = encoding.basis.indices
        tensors["basis.origin"] = encoding.basis.origin
    for name, reduction in encoding.reductions.items():
        tensors[f"reduction.{name}.mean"] = reduction.mean
        tensors[f"reduction.{name}.modes"] = _narrow(reduction.modes[:, : reduction.reach])
    for name, regressor in regressors.items():
        for part in _REGRESSOR_PARTS:
            tensors[f"network.{name}.{part}"] = _narrow(getattr(regressor, part))
        network = regressor.network
        layers = [] if network is None else list(zip(network.kernels, network.biases, strict=True))
        for layer, (kernel, bias) in enumerate(layers):
            tensors[f"network.{name}.kernel.{layer}"] = kernel
            tensors[f"network.{name}.bias.{layer}"] = bias
    table = {
        "crystal": encoding.crystal.to_dict(),
        "real": None if encoding.basis is None else encoding.basis.real,
        "fields": list(encoding.reductions),
        "networks": {name: 0 if r.network is None else len(r.network.kernels) for name, r in regressors.items()},
        "numbers": list(encoding.numbers),
        "smearing_width": encoding.smearing_width,
        "reach": domain.reach,
    }
    if uncertainty is not None:
        tensors |= {f"uncertainty.{part}": _narrow(getattr(uncertainty, part)) for part in _UNCERTAINTY_PARTS}
        table["uncertainty"] = {"factor": dict(uncertainty.factor), "exponent": dict(uncertainty.exponent)}
    return tensors, table


def unpack(
    tensors: Mapping[str, Array], table: Mapping[str, Any]
) -> tuple[StateEncoding, dict[str, Regressor], TrainingDomain, Uncertainty | None]:
    """Inverse of :func:`pack`; each part checks its shapes.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: a tensor or key is missing, or a shape does not fit.
    """
    basis = None
    if table["real"] is not None:
        basis = FourierBasis(tensors["basis.indices"], tensors["basis.origin"], bool(table["real"]))
    reductions = {
        name: _reduction(tensors[f"reduction.{name}.mean"], tensors[f"reduction.{name}.modes"])
        for name in table["fields"]
    }
    for name, reduction in reductions.items():
        if basis is None or len(reduction.mean) != len(basis.to_vector(np.zeros(basis.size))):
            raise ValueError(f"the modes of {name} do not fit the Fourier basis")
    encoding = StateEncoding(
        crystal=Crystal.from_dict(table["crystal"]),
        basis=basis,
        reductions=reductions,
        numbers=tuple(name for name in NUMBERS if name in _numbers(table)),
        smearing_width=None if table["smearing_width"] is None else float(table["smearing_width"]),
    )
    regressors = {}
    for name, layers in table["networks"].items():
        kernels = tuple(tensors[f"network.{name}.kernel.{layer}"] for layer in range(layers))
        biases = tuple(tensors[f"network.{name}.bias.{layer}"] for layer in range(layers))
        network = Network(kernels, biases) if layers else None
        parts = {part: _wide(tensors[f"network.{name}.{part}"]) for part in _REGRESSOR_PARTS}
        regressors[name] = Regressor(**parts, network=network)
    box = {part: tensors[f"domain.{part}"] for part in _DOMAIN_PARTS}
    uncertainty = None
    if "uncertainty" in table:
        factor, exponent = (
            {q: float(x) for q, x in table["uncertainty"][law].items()} for law in ("factor", "exponent")
        )
        mean, scale, root = (_wide(tensors[f"uncertainty.{part}"]) for part in _UNCERTAINTY_PARTS)
        uncertainty = Uncertainty(mean, scale, root, factor, exponent)
    return encoding, regressors, TrainingDomain(**box, reach=float(table["reach"])), uncertainty


def _narrow(array: Array) -> Array:
    """The array in single precision where that holds every number exactly, else unchanged."""
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    return single if np.array_equal(single, array) else array


def _wide(array: Array) -> FloatArray:
    return np.asarray(array, dtype=np.float64)


def _reduction(mean: Array, modes: Array) -> Reduction:
    """A reduction with the columns that :func:`pack` left out filled with zeros."""
    if modes.ndim != 2 or modes.shape[1] > len(mean):
        raise ValueError(f"modes {modes.shape} and mean {mean.shape} of a reduction do not fit together")
    full = np.zeros((len(modes), len(mean)))
    full[:, : modes.shape[1]] = modes
    return Reduction(mean, full)


def _numbers(table: Mapping[str, Any]) -> set[str]:
    if "numbers" in table:
        return set(table["numbers"])
    return {"internal", "free_energy", "fermi_energy"} & set(table["networks"])  # older files have no such key
