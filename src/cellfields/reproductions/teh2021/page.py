"""Writes the results: report.html with figures and tables, report.md with the tables, report.json with the numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cellfields.evaluation import html_page
from cellfields.evaluation.accuracy import QUANTITIES
from cellfields.evaluation.figures import (
    energy_routes_figure,
    error_vs_strain_figure,
    learning_curve_figure,
    parity_figure,
    position_error_figure,
    slice_figure,
)
from cellfields.evaluation.figures.style import image_bytes, label
from cellfields.reproductions.teh2021 import tables
from cellfields.reproductions.teh2021.ablation import Ablation
from cellfields.reproductions.teh2021.accuracy import BEST, PAPER, Accuracy, network_beaten_by, specimen
from cellfields.reproductions.teh2021.converged import Meshes
from cellfields.reproductions.teh2021.cross_validation import CrossValidation
from cellfields.reproductions.teh2021.learning_curve import LearningCurve
from cellfields.reproductions.teh2021.protocol import (
    AIMS,
    PRINTED,
    PRINTED_DISPLACEMENT,
    PRINTED_ROUTES,
    PUBLISHED_TRAINING,
)
from cellfields.reproductions.teh2021.routes import EnergyRoutes
from cellfields.reproductions.teh2021.smearing import Smearings
from cellfields.reproductions.teh2021.uncertainty import Uncertainties
from cellfields.reproductions.teh2021.workbench import Workbench
from cellfields.storage.atomic import make_directory, write_durably

_NETWORK, _AUTHORS_LINEAR = "published network", "published linear"


@dataclass(frozen=True, eq=False)
class Results:
    """The results of the studies; None for a study that was not made, or that had too few labels."""

    accuracy: Accuracy | None = None
    learning: LearningCurve | None = None
    validation: CrossValidation | None = None
    ablation: Ablation | None = None
    meshes: Meshes | None = None
    smearings: Smearings | None = None
    uncertainties: Uncertainties | None = None
    routes: EnergyRoutes | None = None

    def tables(self) -> list[tables.Table]:
        """The tables of these results, in the order of the page."""
        tables_of_results = [
            (self.accuracy, tables.summary),
            (self.accuracy, tables.everything),
            (self.routes, tables.routes),
            (self.learning, tables.learning),
            (self.validation, tables.validation),
            (self.ablation, tables.ablated),
            (self.meshes, tables.meshes),
            (self.smearings, tables.smearings),
            (self.uncertainties, tables.coverages),
        ]
        return [make(result) for result, make in tables_of_results if result is not None]  # type: ignore[operator]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, in the units of an evaluation (Hartree, Bohr, GPa, ratios)."""
        table: dict[str, Any] = {}
        if self.accuracy is not None:
            a = self.accuracy
            table["accuracy"] = {
                "training_states": a.training,
                "test_states": a.test,
                "asked_for": list(a.asked),
                "outside_domain": a.outside,
                "training_seconds": a.training_seconds,
                "labels_against_the_authors": {
                    "mean_displacement_difference": a.displacement_difference,
                    "relative_l2_of_figure_2": a.figure_2,
                },
                "errors": {
                    engine: {quantity: result.summary(quantity) for quantity in result.errors}
                    for engine, result in a.evaluation.engines.items()
                },
            }
        for name in ("learning", "validation", "ablation", "meshes", "smearings", "uncertainties"):
            if (result := getattr(self, name)) is not None:
                table[name] = asdict(result)
        if self.routes is not None:
            table["routes"] = self.routes.to_dict()
        table["printed_in_the_paper"] = {name: asdict(printed) for name, printed in PRINTED.items()}
        table["routes_printed_in_the_paper"] = {name: asdict(printed) for name, printed in PRINTED_ROUTES.items()}
        table["aims"] = dict(AIMS)
        return table


def report(bench: Workbench, results: Results) -> dict[str, Any]:
    """The content of report.json."""
    notes = [*bench.plan.notes, *_remarks(results)]
    return {"study": "Teh, Ghosh, Bhattacharya (2021)", "notes": notes} | results.to_dict()


def write_tables(bench: Workbench, results: Results) -> None:
    """Write report.md and report.json below the workbench's directory."""
    table = report(bench, results)
    made = results.tables()
    lead = " ".join(table["notes"])
    markdown = f"# Teh, Ghosh and Bhattacharya (2021), reproduced\n\n{lead}\n\n" + "\n".join(t.markdown() for t in made)
    write_durably(bench.directory / "report.md", markdown.encode())
    write_durably(bench.directory / "report.json", (json.dumps(table, indent=1, allow_nan=False) + "\n").encode())


def write_page(bench: Workbench, results: Results) -> None:
    """Write report.html, and its figures as files of their own, below the workbench's directory."""
    figures = draw(bench, results)
    make_directory(bench.directory / "figures")
    pictures = {name: image_bytes(figure) for name, (figure, _, _) in figures.items()}
    for name, picture in pictures.items():
        write_durably(bench.directory / "figures" / f"{name}.png", picture)
    lead = " ".join(report(bench, results)["notes"])
    made = results.tables()
    boxes = [html_page.section(t.title, html_page.table(t.columns, t.rows, t.numeric_from), t.note) for t in made]
    drawn = [html_page.figure_box(*figures[name], picture) for name, picture in pictures.items()]
    title = "Machine-learned electronic fields of magnesium, reproduced"
    # The short table comes first, then the figures, then the long tables.
    html = html_page.page(f"cellfields: {title}", title, lead, "\n".join([*boxes[:1], *drawn, *boxes[1:]]))
    write_durably(bench.directory / "report.html", html.encode())


def draw(bench: Workbench, results: Results) -> dict[str, tuple[Figure, str, str]]:
    """Draw the figures of these results: file name without suffix → figure, title, caption."""
    figures: dict[str, tuple[Figure, str, str]] = {}
    accuracy = results.accuracy
    if accuracy is not None:
        evaluation = accuracy.evaluation
        truth, predicted = specimen(bench, accuracy)
        strain = ", ".join(f"{x:g}" for x in truth.deformation.as_array())
        figures["fields"] = (
            slice_figure(truth, predicted, height=0.0),
            "Fields on the plane x₃ = 0 (Figure 2)",
            f"D = ({strain}), drawn in the deformed cell: the label, the best recipe's prediction, and the difference "
            "on its own, smaller scale.",
        )
        figures["energies"] = (
            parity_figure(evaluation, (PAPER, BEST)),
            "Energies (Figure 3)",
            "Predicted against true; on the black line a prediction is exact.",
        )
        figures["errors"] = (
            error_vs_strain_figure(evaluation, (_NETWORK, PAPER, BEST)),
            "Errors of the fields against volumetric strain (Figure 5)",
            "NRMSE (eq. 12) of each test strain: the authors' network, the paper's recipe with our labels, and the "
            "best recipe.",
        )
        figures["positions"] = (
            position_error_figure(evaluation, (_NETWORK, PAPER, BEST)),
            "Relaxed atoms (Figure 6 a)",
            "Distance of predicted from true positions, below the distance that the atoms move.",
        )
        figures["linear"] = (
            error_vs_strain_figure(evaluation, (_AUTHORS_LINEAR, "linear", PAPER)),
            "Linear regression beside networks (Figure 8)",
            "NRMSE of linear regression on the same reduced outputs, the authors' and ours, beside the networks.",
        )
    if results.routes is not None:
        routes = results.routes
        printed = {name: (p.mean, p.largest) for name, p in PRINTED_ROUTES.items() if p.largest is not None}
        figures["routes"] = (
            energy_routes_figure(
                np.array(routes.truth),
                {n: {route: np.array(e) for route, e in by_route.items()} for n, by_route in routes.energies.items()},
                printed,
            ),
            "Free energy of predicted states by five routes (Figure 7)",
            "Direct: the learned F. Sum: eq. 20 from learned fields. Orbital: kinetic and non-local energy of the "
            "orbitals in the learned density's potential. SCF: the functional after one step. Harris–Foulkes is beside "
            "the paper's four.",
        )
    if results.learning is not None:
        points = {}
        if accuracy is not None:
            published = {name: accuracy.evaluation.engines.get(name) for name in (_NETWORK, "published PCA floor")}
            points = {
                name: (PUBLISHED_TRAINING, {q: result.summary(q)["mean"] for q in result.errors})
                for name, result in published.items()
                if result is not None
            }
        figures["learning"] = (
            learning_curve_figure(
                [n * results.learning.images for n in results.learning.sizes], results.learning.errors, points
            ),
            "Errors against training size (Figures 4 and 6 b)",
            "Mean over the test strains. The PCA floor is what the modes leave out. Single marks: the authors'.",
        )
    return figures


def _remarks(results: Results) -> Sequence[str]:
    """Sentences about the labels, the domain, and the baselines that are better than a recipe."""
    accuracy = results.accuracy
    if accuracy is None:
        return ()
    remarks = []
    if (accuracy.training, accuracy.test) != accuracy.asked:
        remarks.append(
            f"PRELIMINARY: {accuracy.training} of {accuracy.asked[0]} training strains and {accuracy.test} of "
            f"{accuracy.asked[1]} test strains are solved so far."
        )
    if accuracy.outside:
        remarks.append(f"{accuracy.outside} test strains lie outside the best recipe's training domain.")
    moved = accuracy.evaluation.displacement
    if accuracy.displacement_difference is not None:
        remarks.append(
            f"The relaxed atoms of our labels have moved by {moved.mean():.3f} Bohr on average, {moved.max():.2f} at "
            f"most (the paper: {PRINTED_DISPLACEMENT.mean:g} and {PRINTED_DISPLACEMENT.largest:g}); strain by strain "
            f"this differs from the authors' by {accuracy.displacement_difference:.1e} Bohr on average."
        )
    if accuracy.figure_2 is not None:
        differences = _list(accuracy.figure_2)
        remarks.append(f"Our label of Figure 2 differs from the authors' fields by {differences} (relative L²).")
    beaten = {recipe: _beaten(accuracy, recipe) for recipe in (PAPER, BEST)}
    for recipe, quantities in beaten.items():
        if quantities:
            remarks.append(f"A regression without networks beats {recipe} in: {', '.join(quantities)}.")
    return remarks


def _beaten(accuracy: Accuracy, recipe: str) -> list[str]:
    quantities = accuracy.evaluation.spread
    better = {quantity: network_beaten_by(accuracy, quantity, recipe) for quantity in quantities}
    return [f"{QUANTITIES[q].label} ({label(names[0])})" for q, names in better.items() if names]


def _list(differences: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.1e}" for name, value in differences.items())
