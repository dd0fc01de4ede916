"""Objects whose attributes stay what they were made with, so that what was computed from them and kept stays true."""

from __future__ import annotations


class Immutable:
    """Base of classes that keep results (``functools.cached_property``): an attribute is given once, at the start.

    Raises:
        AttributeError: an attribute that the object or its class has is assigned or deleted, naming both.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.__dict__ or hasattr(type(self), name):
            raise AttributeError(f"{name} of a {type(self).__name__} cannot be changed, make another one instead")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name} of a {type(self).__name__} cannot be deleted, make another one instead")
