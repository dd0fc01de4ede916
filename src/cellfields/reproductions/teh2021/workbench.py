"""Where studies work: labels, trained models and judgements, each made once and kept under one directory.

    dataset/, converged/, smearing/     labels, sealed (:class:`~cellfields.dataset.DatasetStore`)
    models/<hash>.safetensors           a trained model; hash = SHA-256 of its training states' keys and its recipe
    results/<name>-<hash>.json          what a study found; hash = SHA-256 of all that it depends on

Whatever is there with the right hash is taken as it is, so a study that was interrupted goes on, and one whose labels
have become more is done again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cellfields import __version__
from cellfields._typing import FloatArray, IntArray
from cellfields.crystal import Crystal
from cellfields.crystal.deformation import Deformation
from cellfields.dataset import DatasetStore, Starter, label
from cellfields.engines.contract import Engine
from cellfields.errors import InputError
from cellfields.evaluation.accuracy import EngineErrors, Evaluation
from cellfields.evaluation.baselines import BaselineEngine, Floor
from cellfields.evaluation.evaluate import Exam
from cellfields.pipeline.model_file import saved_model, train_and_save
from cellfields.pipeline.samples import MINIMUM_TEST_STATES, Samples
from cellfields.reproductions.teh2021.protocol import Plan
from cellfields.state import CellState
from cellfields.storage.atomic import make_directory, write_durably
from cellfields.storage.json_tables import digest
from cellfields.surrogate import Recipe, Surrogate
from cellfields.surrogate.images import images_of
from cellfields.surrogate.state_encoding import StateEncoding
from cellfields.surrogate.training_size import MINIMUM_TRAINING_STATES

Tell = Callable[[str, int, int], None]
_QUANTITIES = 8  # steps of a training's progress: four fields, atoms, two energies, and the end
_FORMAT = 1  # of results: raise it when a study changes what it computes


@dataclass(frozen=True, eq=False)
class Encoded:
    """Training states as regressions see them.

    Attributes:
        encoding: what the outputs mean.
        outputs: quantity → which states know it (n,), and what they know (n, width).
        deformations: (N, 6) D of all states, the images of a strain together.
        images: how many each strain has.
    """

    encoding: StateEncoding
    outputs: dict[str, tuple[IntArray, FloatArray]]
    deformations: FloatArray
    images: int


@dataclass(frozen=True, eq=False)
class Workbench:
    """A plan, a directory, and how to tell of progress.

    Attributes:
        plan: what is reproduced.
        directory: where everything goes.
        workers: solves at a time.
        solve: whether missing labels may be solved; otherwise studies use what there is.
        tell: called with (what, done, total).
    """

    plan: Plan
    directory: Path
    workers: int = 1
    solve: bool = True
    tell: Tell = lambda what, done, total: None

    @property
    def crystal(self) -> Crystal:
        """The reference crystal."""
        return self.plan.crystal

    # -- labels ---------------------------------------------------------------------------------------------------

    def labels(
        self, name: str, engine: Any, strains: Sequence[Deformation], starter: Starter | None = None
    ) -> DatasetStore | None:
        """The dataset of this name, filled with these strains if that is allowed; None where there is none.

        ``starter`` gives what a solve may begin from.

        Raises:
            SettingsMismatchError: it was made with other settings.
        """
        directory = self.directory / name
        if not self.solve:
            if not (directory / "dataset.json").is_file():
                return None
            store = DatasetStore.open(directory)
            store.require_engine(engine)
            return store
        store = DatasetStore.create_or_open(directory, self.crystal, engine.identity)
        label(
            store,
            engine,
            strains,
            workers=self.workers,
            starter=starter,
            retry_failed=False,
            on_event=lambda event: self.tell(f"solving for {name}", event.done, event.total),
        )
        return store

    def existing(self, name: str, engine: Any) -> DatasetStore:
        """The dataset of this name, as it is.

        Raises:
            InputError: there is none.
        """
        store = replace(self, solve=False).labels(name, engine, ())
        if store is None:
            raise InputError(f"there are no labels in {self.directory / name} yet: they are the first stage")
        return store

    @cached_property
    def training(self) -> Samples:
        """Solved training strains of the plan.

        Raises:
            InputError: fewer than eight.
        """
        return self.solved(
            self.existing("dataset", self.plan.engine), self.plan.train, MINIMUM_TRAINING_STATES, "training"
        )

    @cached_property
    def test(self) -> Samples:
        """Solved test strains of the plan.

        Raises:
            InputError: fewer than two.
        """
        return self.solved(self.existing("dataset", self.plan.engine), self.plan.test, MINIMUM_TEST_STATES, "test")

    def solved(self, store: DatasetStore, strains: Iterable[Deformation], fewest: int, kind: str) -> Samples:
        """Those of these strains that are solved.

        Raises:
            InputError: fewer than ``fewest``.
        """
        return Samples.solved(store, strains, fewest=fewest, kind=kind, advice="let the command solve more")

    # -- what is made of them -------------------------------------------------------------------------------------

    def keep(self, name: str, depends_on: Any, make: Callable[[], Any]) -> Any:
        """JSON data that ``make`` gives, made once for everything that it depends on (JSON data too)."""
        found = digest([_FORMAT, __version__, name, depends_on])
        path = self.directory / "results" / f"{name}-{found[:16]}.json"
        if path.is_file():
            try:
                return json.loads(path.read_text(encoding="utf-8"))
            except ValueError:  # a damaged file is made again
                pass
        result = make()
        make_directory(path.parent)
        write_durably(path, json.dumps(result, allow_nan=False).encode())
        return json.loads(json.dumps(result))

    def surrogate(self, recipe: Recipe, training: Samples, about: str) -> Surrogate:
        """The model of this recipe and these states, trained if there is none yet.

        Outside its domain it flags: an evaluation counts what lies there.
        """
        identity = training.store.identity
        found = digest([__version__, training.key, recipe.identity()])
        path = self.directory / "models" / f"{found[:16]}.safetensors"
        if (surrogate := saved_model(path, found, outside="flag")) is not None:
            return surrogate
        what = f"training {about} on {len(training)} states"
        surrogate = train_and_save(path, found, self.crystal, training.states, recipe, identity, self._one_bar(what))
        self.tell(what, _QUANTITIES, _QUANTITIES)
        return replace(surrogate, outside="flag")

    def _one_bar(self, what: str) -> Callable[[str, int, int], None]:
        """Progress of a training, quantity by quantity, as that of one task."""
        begun: list[str] = []

        def tell(quantity: str, done: int, total: int) -> None:
            if quantity not in begun:
                begun.append(quantity)
            if done == total:
                self.tell(what, min(len(begun), _QUANTITIES - 1), _QUANTITIES)

        return tell

    def judged(self, name: str, recipe: Recipe, training: Samples, test: Samples) -> tuple[EngineErrors, float]:
        """A recipe's errors on test states, and its training time in seconds."""

        def make() -> dict[str, Any]:
            surrogate = self.surrogate(recipe, training, name)
            errors = self.exam(test).judge(surrogate)
            seconds = float(surrogate.metadata["training_seconds"])
            return errors.to_dict() | {"training_seconds": seconds}

        table = self.keep("recipe", [recipe.identity(), training.key, test.key, self._grid], make)
        return EngineErrors.from_dict(table), float(table["training_seconds"])

    def judged_baseline(self, name: str, training: Samples, test: Samples, modes: int) -> EngineErrors:
        """A baseline's errors on test states, or those of the floor (name "PCA floor")."""

        def make() -> dict[str, Any]:
            learned = self.encoded(training, modes)
            engine: Engine
            if name == "PCA floor":
                engine = Floor(learned.encoding, test.states)
            else:
                engine = BaselineEngine.fit(name, learned.encoding, learned.deformations, learned.outputs)
            errors = self.exam(test).judge(engine).to_dict()
            self.tell(f"baseline {name} on {len(training)} states", 1, 1)
            return errors

        depends_on = [name, modes, self.plan.paper.learns_from_images, training.key, test.key, self._grid]
        return EngineErrors.from_dict(self.keep("baseline", depends_on, make))

    def truth(self, test: Samples) -> Evaluation:
        """What there is to know of test states."""
        table = self.keep("truth", [test.key, self._grid], lambda: self.exam(test).truth.to_dict())
        return Evaluation.from_dict(table)

    def exam(self, test: Samples) -> Exam:
        """Made once for the same test states."""
        if test.key not in self._exams:
            self._exams.clear()
            self._exams[test.key] = Exam.of(self.crystal, test.states, self.plan.grid)
        return self._exams[test.key]

    @cached_property
    def _exams(self) -> dict[str, Exam]:
        return {}

    @property
    def _grid(self) -> list[int] | None:
        return None if self.plan.grid is None else list(self.plan.grid)

    def lessons(self, training: Samples) -> tuple[list[CellState], int]:
        """What the paper's recipe and the baselines learn from: training states with their images, and how many."""
        return images_of(self.crystal, training.states, self.plan.paper, training.store.identity)

    def encoded(self, training: Samples, modes: int) -> Encoded:
        """Reductions of these lessons and what they encode to; the last ones are remembered."""
        key = f"{training.key}-{modes}"
        if key not in self._encodings:
            self._encodings.clear()
            states, images = self.lessons(training)
            encoding = StateEncoding.fit(self.crystal, states, modes, images)
            deformations = np.array([state.deformation.as_array() for state in states])
            self._encodings[key] = Encoded(encoding, encoding.encode(states), deformations, images)
        return self._encodings[key]

    @cached_property
    def _encodings(self) -> dict[str, Encoded]:
        return {}
