"""``cellfields train``: trains the surrogate on the states of the training strains, and saves it as one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellfields.cli._arguments import ConfigArgument, JsonOption

if TYPE_CHECKING:
    from cellfields.pipeline.study import Study
    from cellfields.surrogate import Surrogate


def train(config: ConfigArgument, json: JsonOption = None) -> None:
    """Train the surrogate on the solved strains.

    Example: cellfields train magnesium.toml
    """
    from cellfields.cli._console import clock, print_table, reporting
    from cellfields.cli._output import check_target, write_json
    from cellfields.pipeline.pipeline import Pipeline

    check_target(json, "--json")
    with reporting() as reporter:
        pipeline = Pipeline.load(config, reporter)
        surrogate = pipeline.train(again=True)
    table = model_table(pipeline.study, surrogate)
    if json is not None:
        write_json(json, table)
        return
    rows = [("training states", str(table["training_states"])), ("training time", clock(table["training_seconds"]))]
    print_table(f"model {table['model']}", ("", ""), rows)


def model_table(study: Study, surrogate: Surrogate) -> dict[str, Any]:
    """JSON data about the model of a study: its file, recipe, number of states, training time, and what it lacks."""
    return {
        "kind": "train",
        "model": str(study.configuration.model_path),
        "recipe": surrogate.recipe.name,
        "training_states": int(surrogate.metadata["n_train"]),
        "training_seconds": float(surrogate.metadata["training_seconds"]),
        "unknown": list(surrogate.unknown),
    }
