"""The package as a whole: public names, and what importing it must not drag in."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

import cellfields
from cellfields import errors


def modules_after(statement: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("name", cellfields.__all__)
def test_public_names_resolve(name: str) -> None:
    assert getattr(cellfields, name) is not None


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Cristal'"):
        cellfields.Cristal  # noqa: B018


def test_names_come_from_where_they_are_defined() -> None:
    from cellfields.crystal import Crystal
    from cellfields.engines.planewave import PlaneWaveEngine

    assert cellfields.Crystal is Crystal
    assert cellfields.PlaneWaveEngine is PlaneWaveEngine


@pytest.mark.parametrize(
    "statement",
    [
        "import cellfields",
        "import cellfields.engines.planewave",
        "from cellfields import Crystal, Deformation, PlaneWaveEngine, PlaneWaveSettings, CellState",
        "import cellfields.dataset; cellfields.DatasetStore",
        "import cellfields.energetics; cellfields.energy_routes; cellfields.energetics.ROUTES",
        "from cellfields.mechanics import uniaxial_test; import cellfields.export",
    ],
)
def test_engine_workers_never_import_jax(statement: str) -> None:
    loaded = modules_after(statement)
    assert "cellfields" in loaded
    assert not {
        m for m in loaded if m.partition(".")[0] in ("jax", "jaxlib", "equinox", "optax", "matplotlib", "typer")
    }


def test_importing_the_package_is_light() -> None:
    """So that ``cellfields --help`` answers at once: names resolve on first use."""
    loaded = modules_after("import cellfields")
    assert not {m.partition(".")[0] for m in loaded} & {"numpy", "scipy", "ase", "spglib", "pydantic"}


def test_imports_point_one_way() -> None:
    """crystal → state → engines: nothing of the language needs an engine."""
    loaded = modules_after(
        "import cellfields.crystal, cellfields.crystal.deformation, cellfields.state.fields, cellfields.state"
    )
    above = ("engines", "dataset", "surrogate", "evaluation", "cli")
    assert not {m for m in loaded if m.startswith(tuple(f"cellfields.{part}" for part in above))}
    with_engine = modules_after("import cellfields.engines.planewave")
    assert not {m for m in with_engine if m.startswith(tuple(f"cellfields.{part}" for part in above[1:]))}


def test_errors_are_a_family() -> None:
    assert issubclass(errors.InputError, errors.CellFieldsError)
    assert issubclass(errors.InputError, ValueError)
    for kind in (errors.SettingsMismatchError, errors.CorruptFileError):
        assert issubclass(kind, errors.InputError)
    for kind in (errors.SCFNotConverged, errors.EigensolverNotConverged, errors.RelaxationNotConverged):
        assert issubclass(kind, errors.ConvergenceError)
        assert not issubclass(kind, errors.InputError)


@pytest.mark.parametrize(
    "kind", [errors.ConvergenceError, errors.SCFNotConverged, errors.RelaxationNotConverged], ids=lambda k: k.__name__
)
def test_convergence_errors_keep_their_history_through_pickle(kind: type[errors.ConvergenceError]) -> None:
    error = kind("stopped after 2 steps", [{"step": 0, "residual": 1e-2}, {"step": 1, "residual": 3e-3}])
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert str(back) == "stopped after 2 steps"
    assert back.history == error.history == ({"step": 0, "residual": 1e-2}, {"step": 1, "residual": 3e-3})
