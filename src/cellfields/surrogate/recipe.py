"""What is trained, and how: named recipes and their numbers (paper, sec. 4.2).

    "paper"     y = ȳ + σ_y ⊙ N(z)            z = (D − D̄)/σ_D, N a tanh network: the authors' protocol, nothing added
    "taylor"    y = P(z) + σ_r ⊙ N(z)         P a quadratic polynomial by least squares, N learns what it leaves over
    "best"      y = ½ (P₆(z) + P₇(z))         each with a Gaussian-process prior, in closed form; networks for what
                                              they cannot follow (ensemble.py)

For strains of a few per cent most of the map is its second-order Taylor expansion, and the l2 penalty keeps a network
from reproducing even that exactly. Least squares do, for 28 numbers an output. Networks and optimiser are the same.
"best" goes on to degree 7, with coefficients that expect to be small (polynomial.py), learns from all images of a
strain under the crystal's symmetry (equivalence.py), and F from the stress as well.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from cellfields.validation import Table

Width = Annotated[int, Field(ge=1, le=10_000)]
_ALGORITHM = 2  # of "best": to be raised when the same settings and states give another model
MAX_DEGREE = 10  # 8,007 monomials in six variables

Length = Annotated[float, Field(gt=0, le=1e3)]
Widths = Annotated[tuple[Width, ...], Field(min_length=1, max_length=10)]


class Recipe(Table):
    """Architecture and optimiser of a surrogate; the defaults are the paper's.

    Raises:
        InputError: unknown key or name, or a value out of range.
    """

    name: Literal["paper", "taylor", "best"] = Field(
        default="paper",
        description="paper: networks only; taylor: on a quadratic trend; best: polynomials with a prior",
    )
    modes: int = Field(
        default=50, ge=1, le=10_000, description="most PCA modes a field; never more than training states - 1"
    )
    field_widths: Widths = Field(default=(500, 500), description="hidden widths of the four fields' networks")
    small_widths: Widths = Field(
        default=(50, 100, 50), description="hidden widths for internal coordinates and energies"
    )
    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="of Adam, constant")
    l2: float = Field(default=1e-4, ge=0, le=1, description="penalty on the squared kernels of the hidden layers")
    batch_size: int = Field(default=128, ge=1, le=1_000_000, description="samples a step")
    epochs: int = Field(default=4000, ge=1, le=10_000_000, description="passes over the training states")
    degree: int = Field(default=7, ge=1, le=MAX_DEGREE, description="of the polynomials of best")
    blend: int = Field(
        default=2, ge=1, le=MAX_DEGREE, description="how many degrees, up to the highest, are averaged by best"
    )
    lengths: Annotated[tuple[Length, ...], Field(min_length=1, max_length=20)] = Field(
        default=(3.0, 4.5, 6.5), description="length scales that best chooses from, in standard deviations of strain"
    )
    symmetry: bool | None = Field(
        default=None, description="learn from each strain's images under the crystal's symmetry; unless said, best does"
    )
    slopes: bool = Field(default=True, description="best learns the free energy from the stress too")
    members: int = Field(
        default=1, ge=0, le=10, description="networks of best where polynomials fail, averaged; 0: polynomials only"
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="of initial weights and shuffling")

    @property
    def learns_from_images(self) -> bool:
        """Whether each training state stands for all its images too."""
        return self.name == "best" if self.symmetry is None else self.symmetry

    def identity(self) -> dict[str, Any]:
        """What tells a model of this recipe from others of the same states (JSON data)."""
        table = self.model_dump(mode="json")
        return table | {"algorithm": _ALGORITHM} if self.name == "best" else table

    @property
    def trend_degree(self) -> int:
        """Highest degree of the polynomial that least squares fit before the network; 0 is the mean alone."""
        return {"paper": 0, "taylor": 2, "best": self.degree}[self.name]
