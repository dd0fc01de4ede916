"""A study, step by step: label, train, evaluate. Each step takes what is there and makes what is missing.

    study file → Study → Pipeline.label → sealed states → Pipeline.train → model → Pipeline.evaluate → report

Every state is read once, and hashed once more where a step only asks whether it is there. Scripts use it as the
commands do:

    pipeline = Pipeline(Study.load("magnesium.toml"));   pipeline.label();   surrogate = pipeline.train()
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cellfields.dataset import DatasetStore
from cellfields.errors import InputError
from cellfields.pipeline.labelling import LabelledStudy, label_study
from cellfields.pipeline.progress import Reporter, Silent
from cellfields.pipeline.samples import Samples
from cellfields.pipeline.study import Study

if TYPE_CHECKING:  # JAX and matplotlib take seconds to import: they wait until a step needs them
    from cellfields.pipeline.judgement import EvaluatedStudy
    from cellfields.surrogate import Surrogate


class Pipeline:
    """The steps of one study.

    Attributes:
        study: what is labelled, trained and evaluated.
        reporter: is told of progress; by default nobody is.
    """

    def __init__(self, study: Study, reporter: Reporter | None = None) -> None:
        self.study = study
        self.reporter: Reporter = Silent() if reporter is None else reporter

    @classmethod
    def load(cls, path: str | Path, reporter: Reporter | None = None) -> Self:
        """From a study file.

        Raises:
            InputError: one sentence that says what is wrong with it.
        """
        return cls(Study.load(path), reporter)

    @cached_property
    def store(self) -> DatasetStore:
        """The study's dataset.

        Raises:
            InputError: there is none yet.
            SettingsMismatchError: it was made with another crystal or other settings.
        """
        return self.study.open_store()

    @cached_property
    def training(self) -> Samples:
        """Solved training strains.

        Raises:
            InputError: there are too few.
        """
        return self.study.training_samples(self.store)

    @cached_property
    def test(self) -> Samples:
        """Solved strains that the model is judged by.

        Raises:
            InputError: there are too few.
        """
        return self.study.test_samples(self.store)

    @cached_property
    def training_hash(self) -> str:
        """SHA-256 of what the training depends on: the crystal, the engine, the solved strains, and the recipe."""
        return self.study.training_hash(self.training)

    def label(
        self,
        *,
        workers: int | None = None,
        retry_failed: bool = False,
        neighbours: bool = False,
        check: bool = True,
    ) -> LabelledStudy:
        """Solve the strains that have no state yet; arguments and errors are those of :func:`label_study`."""
        for name in ("store", "training", "test", "training_hash"):
            self.__dict__.pop(name, None)  # there will be more states than were looked at
        labelled = label_study(
            self.study,
            self.reporter,
            workers=workers,
            retry_failed=retry_failed,
            neighbours=neighbours,
            check=check,
        )
        self.__dict__["store"] = labelled.store
        return labelled

    def train(self, *, again: bool = False) -> Surrogate:
        """The model of the solved training strains: the saved one if it is of just these, else trained and saved.

        Args:
            again: train even where the saved model is up to date.

        Raises:
            InputError: too few training states.
        """
        from cellfields.pipeline.model_file import saved_model, train_and_save

        path, recipe = self.study.configuration.model_path, self.study.configuration.surrogate
        if not again and (surrogate := saved_model(path, self.training_hash)) is not None:
            self.reporter.note("the model is up to date")
            return surrogate
        return train_and_save(
            path,
            self.training_hash,
            self.study.crystal,
            self.training.states,
            recipe,
            self.study.identity,
            lambda quantity, done, total: self.reporter.update(f"training {quantity}", done, total),
        )

    def model(self) -> Surrogate:
        """The saved model.

        Raises:
            CorruptFileError: its file is truncated or altered.
            InputError: there is none, or it was trained on other states or with another recipe.
        """
        store, path = self.store, self.study.configuration.model_path
        if not path.is_file():
            raise InputError(f"there is no model {path} of {store.directory} yet: run `cellfields train` first")
        from cellfields.surrogate import Surrogate

        surrogate = Surrogate.load(path)
        if surrogate.metadata.get("training_hash") != self.training_hash:
            raise InputError(f"{path} was trained on other states or with other settings: run `cellfields train` again")
        return surrogate

    def evaluate(self, surrogate: Surrogate | None = None, *, again: bool = False) -> EvaluatedStudy:
        """Judge the model on the unseen strains and write ``evaluation.json`` and ``report.html``.

        Args:
            surrogate: the study's model, None to load the saved one.
            again: judge even where the saved evaluation is of just this model and these strains.

        Raises:
            InputError: there is no model of these states, or too few test states.
        """
        from cellfields.pipeline.judgement import evaluation_hash, judge_study, saved_evaluation

        if surrogate is None:
            surrogate = self.model()
        depends_on = evaluation_hash(self.study, self.training_hash, self.test)
        if not again and (kept := saved_evaluation(self.study, depends_on)) is not None:
            self.reporter.note("the evaluation is up to date")
            return kept
        self.reporter.note(f"evaluating on {len(self.test)} unseen strains")
        return judge_study(self.study, surrogate, self.training, self.test, depends_on)
