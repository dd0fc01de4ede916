"""What is trained, and how: three recipes, each a table of its own keys, told apart by ``name`` (paper, sec. 4.2).

    "paper",  "paper_networks"   y = ȳ + σ_y ⊙ N(z)      z = (D − D̄)/σ_D, N a tanh network: the authors' protocol
    "taylor", "trend_networks"   y = P(z) + σ_r ⊙ N(z)   P a quadratic polynomial by least squares, N learns the rest
    "best",   "polynomials"      y = ½ (P₆(z) + P₇(z))   each with a Gaussian-process prior, in closed form; networks
                                                         for what they cannot follow (ensemble.py)

For strains of a few per cent most of the map is its second-order Taylor expansion, and the l2 penalty keeps a network
from reproducing even that exactly. Least squares do, for 28 numbers an output. Networks and optimiser are the same.
"best" is the recommended recipe: it goes on to degree 7, with coefficients that expect to be small (polynomial.py),
learns from all images of a strain under the crystal's symmetry (images.py), and F from the stress as well.

The name on the left is the one that a recipe is stored under, in model files, hashes and reports; the descriptive one
on the right is read as the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, TypeAdapter

from cellfields.errors import InputError
from cellfields.surrogate.shared_table import with_keys_of_all_recipes, without_keys_of_other_recipes
from cellfields.validation import Table, short

MAX_DEGREE = 10  # 8,007 monomials in six variables
_ALGORITHM = 2  # of Polynomials: to be raised when the same settings and states give another model
_DEFAULT_NAME = "paper"
_STORED_NAMES = {"paper_networks": "paper", "trend_networks": "taylor", "polynomials": "best"}
_NAMES_EXPLAINED = (
    "paper or paper_networks: networks only; taylor or trend_networks: networks on a quadratic trend; "
    "best or polynomials: polynomials with a prior"
)

Width = Annotated[int, Field(ge=1, le=10_000)]
Widths = Annotated[tuple[Width, ...], Field(min_length=1, max_length=10)]
Length = Annotated[float, Field(gt=0, le=1e3)]


def _stored_name(name: Any) -> Any:
    """The name that a recipe is stored under; anything that is no descriptive name is returned as it is."""
    return _STORED_NAMES.get(name, name) if isinstance(name, str) else name


class Recipe(Table):
    """What all recipes have in common. ``Recipe(name=…, …)`` makes the recipe of that name, the paper's without one.

    The classes below can be called by themselves too, which lets a type checker know the recipe's own keys:
    ``Recipe(name="best", degree=3)`` equals ``Polynomials(degree=3)``.

    Raises:
        InputError: an unknown name, a key that this recipe does not have, or a value out of range.
    """

    uses_images_by_default: ClassVar[bool] = False

    name: str
    modes: int = Field(
        default=50, ge=1, le=10_000, description="most PCA modes a field; never more than training states - 1"
    )
    symmetry: bool | None = Field(
        default=None, description="learn from each strain's images under the crystal's symmetry; unless said, best does"
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="of initial weights and shuffling")

    def __new__(cls, /, **values: Any) -> Recipe:
        """An empty recipe of this class; for ``Recipe`` itself, of the class that belongs to the name."""
        return super().__new__(_class_of_name(values.get("name", _DEFAULT_NAME)) if cls is Recipe else cls)

    if TYPE_CHECKING:  # otherwise a type checker knows only the keys of this class

        def __init__(self, /, **values: Any) -> None: ...

    @property
    def learns_from_images(self) -> bool:
        """Whether each training state stands for all its images too."""
        return self.uses_images_by_default if self.symmetry is None else self.symmetry

    def hashed_table(self) -> dict[str, Any]:
        """The settings as hashes of earlier versions have them (JSON data): with the keys of all recipes."""
        return with_keys_of_all_recipes(self.model_dump(mode="json"))

    def identity(self) -> dict[str, Any]:
        """What tells a model of this recipe from others of the same states (JSON data)."""
        return self.hashed_table()

    @staticmethod
    def from_stored(table: Mapping[str, Any]) -> Recipe:
        """The recipe of a model file. Files of earlier versions hold the keys of all recipes: the others' are ignored.

        Raises:
            ValueError: an unknown name or key, or a value out of range.
        """
        keys = _class_of_name(table.get("name", _DEFAULT_NAME)).model_fields
        return _ANY_RECIPE.validate_python(without_keys_of_other_recipes(table, keys))

    @classmethod
    def refusal_of_key(cls, key: str, path: str) -> str:
        """One sentence about a key that this recipe does not have; where others have it, it names them."""
        others = [f'"{name}"' for name, recipe in RECIPES.items() if key in recipe.model_fields]
        if not others:
            return super().refusal_of_key(key, path)
        stored_name = cls.model_fields["name"].default
        return (
            f'{path} is no key of the recipe "{stored_name}", it belongs to {" and ".join(others)}; '
            f"allowed here: {', '.join(cls.model_fields)}"
        )


class Networks(Recipe):
    """One tanh network a quantity, on a polynomial trend: architecture and optimiser, the paper's by default."""

    trend_degree: ClassVar[int]
    """Highest degree of the polynomial that least squares fit before the network; 0 is the mean alone."""

    field_widths: Widths = Field(default=(500, 500), description="hidden widths of the four fields' networks")
    small_widths: Widths = Field(
        default=(50, 100, 50), description="hidden widths for internal coordinates and energies"
    )
    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="of Adam, constant")
    l2: float = Field(default=1e-4, ge=0, le=1, description="penalty on the squared kernels of the hidden layers")
    batch_size: int = Field(default=128, ge=1, le=1_000_000, description="samples a step")
    epochs: int = Field(default=4000, ge=1, le=10_000_000, description="passes over the training states")


class PaperNetworks(Networks):
    """The authors' protocol: networks that learn all but the mean. Stored under the name "paper"."""

    trend_degree = 0
    name: Annotated[Literal["paper"], BeforeValidator(_stored_name)] = Field(
        default="paper", description=_NAMES_EXPLAINED
    )


class TrendNetworks(Networks):
    """Networks that learn what a quadratic polynomial leaves over. Stored under the name "taylor"."""

    trend_degree = 2
    name: Annotated[Literal["taylor"], BeforeValidator(_stored_name)] = Field(
        default="taylor", description=_NAMES_EXPLAINED
    )


class Polynomials(Recipe):
    """Polynomials with a prior, networks where these fail: the recommended recipe. Stored under the name "best"."""

    uses_images_by_default = True
    name: Annotated[Literal["best"], BeforeValidator(_stored_name)] = Field(
        default="best", description=_NAMES_EXPLAINED
    )
    degree: int = Field(default=7, ge=1, le=MAX_DEGREE, description="highest degree of the polynomials")
    blend: int = Field(default=2, ge=1, le=MAX_DEGREE, description="how many degrees, up to the highest, are averaged")
    lengths: Annotated[tuple[Length, ...], Field(min_length=1, max_length=20)] = Field(
        default=(3.0, 4.5, 6.5), description="length scales to choose from, in standard deviations of strain"
    )
    slopes: bool = Field(default=True, description="learn the free energy from the stress too")
    members: int = Field(
        default=1, ge=0, le=10, description="networks where polynomials fail, averaged; 0: polynomials only"
    )

    def identity(self) -> dict[str, Any]:
        """What tells a model of this recipe from others of the same states (JSON data), the algorithm included."""
        return {**self.hashed_table(), "algorithm": _ALGORITHM}


RECIPES: dict[str, type[Recipe]] = {"paper": PaperNetworks, "taylor": TrendNetworks, "best": Polynomials}


def _class_of_name(name: Any) -> type[Recipe]:
    """The class of a recipe, by its stored or its descriptive name."""
    stored = _stored_name(name)
    if not isinstance(stored, str) or stored not in RECIPES:
        names = ", ".join(f"'{name}'" for name in RECIPES)
        raise InputError(f"name = {short(name)} must be one of {names} ({_NAMES_EXPLAINED})")
    return RECIPES[stored]


def _tag(value: Any) -> str:
    """The stored name of what is to become a recipe, or is one; "paper" where it has no name."""
    name = value.get("name", _DEFAULT_NAME) if isinstance(value, Mapping) else getattr(value, "name", _DEFAULT_NAME)
    stored = _stored_name(name)
    return stored if isinstance(stored, str) else short(stored)


AnyRecipe = Annotated[
    Annotated[PaperNetworks, Tag("paper")]
    | Annotated[TrendNetworks, Tag("taylor")]
    | Annotated[Polynomials, Tag("best")],
    Field(discriminator=Discriminator(_tag), description=_NAMES_EXPLAINED),
]
"""The type of a table of settings that is any of the recipes, told apart by ``name``."""

_ANY_RECIPE: TypeAdapter[PaperNetworks | TrendNetworks | Polynomials] = TypeAdapter(AnyRecipe)
