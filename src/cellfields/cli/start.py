"""``cellfields start``: writes a folder in which ABINIT starts from a predicted density and predicted atoms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cellfields.cli._arguments import DeformationOption
from cellfields.cli._engine import ModelArgument, open_model

if TYPE_CHECKING:
    from cellfields.crystal import Crystal
    from cellfields.engines.abinit import AbinitEngine
    from cellfields.engines.identity import EngineIdentity


def start(
    model: ModelArgument,
    d: DeformationOption,
    abinit: Annotated[
        Path,
        typer.Option("--abinit", metavar="DIR", help="Folder to write; it must not hold anything.", show_default=False),
    ],
    study: Annotated[
        Path | None,
        typer.Option(
            "--study",
            metavar="CONFIG",
            help="Study file with the settings; default: those of the model's training states.",
            show_default=False,
        ),
    ] = None,
    held: Annotated[bool, typer.Option("--held", help="Hold the atoms at their predicted places.")] = False,
) -> None:
    """Write a folder for ABINIT: input, pseudopotentials, and the predicted density and atoms to begin with.

    Example: cellfields start run/model.safetensors --D 1.01,1,1,90,90,90 --abinit there && cd there && abinit run.abi
    """
    from cellfields.cli._arguments import parse_deformation
    from cellfields.cli._console import note, warn
    from cellfields.engines.abinit.start_folder import write_folder
    from cellfields.state.density_start import DensityStart

    deformation = parse_deformation(d)
    surrogate = open_model(model)
    engine, differing = _engine(surrogate.crystal, surrogate.labelled_by, study)
    state = surrogate.solve(deformation)
    begin = DensityStart.of(state, with_atoms=True)
    relax = not held and surrogate.crystal.n_internal > 0
    write_folder(abinit, engine.input(deformation, state.internal, relax=relax, start=begin))
    if differing:
        note(
            f"the model was trained with other {', '.join(differing)}: the density is a start all the same, "
            "only farther from the end"
        )
    if not state.provenance["in_domain"]:
        warn("this deformation lies outside the strains the model was trained on; the prediction is an extrapolation")
    print(f"{abinit}: run `abinit run.abi > log` there")


def _engine(crystal: Crystal, labelled_by: EngineIdentity | None, study: Path | None) -> tuple[AbinitEngine, list[str]]:
    from cellfields.engines.abinit.start_folder import engine_of_identity, engine_of_study

    if study is None:
        return engine_of_identity(crystal, labelled_by), []
    from cellfields.pipeline.configuration import load_configuration

    configuration = load_configuration(study)
    return engine_of_study(
        crystal, labelled_by, configuration.crystal.build(), configuration.engine, configuration.abinit
    )
