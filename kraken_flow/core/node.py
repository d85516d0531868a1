"""A node: a frozen, validated dataclass of parameters; its fields are its schema, documentation and defaults."""

from typing import Annotated, Any, ClassVar, TypeVar, dataclass_transform

import annotated_types
from pydantic import ConfigDict, GetCoreSchemaHandler
from pydantic.dataclasses import dataclass
from pydantic_core import CoreSchema, core_schema

from kraken_flow.core.units import LARGEST_AMOUNT, LARGEST_RATE

T = TypeVar("T")
C = TypeVar("C", bound=type[Any])
Positive = Annotated[T, annotated_types.Gt(0)]
"""A number above 0: `Positive[int]`."""
NonNegative = Annotated[T, annotated_types.Ge(0)]
"""A number of at least 0."""
Fraction = Annotated[float, annotated_types.Gt(0), annotated_types.Le(1)]
"""A share in (0, 1]."""
Reserve = Annotated[float, annotated_types.Ge(0), annotated_types.Lt(1)]
"""A share in [0, 1) that is kept back."""
Factor = Annotated[float, annotated_types.Gt(0), annotated_types.Le(LARGEST_RATE)]
"""A share, a factor or a multiple above 0 that the engines' integers hold."""
Rate = Annotated[float, annotated_types.Ge(0), annotated_types.Le(LARGEST_RATE)]
"""A share or basis points of at least 0 that the engines' integers hold."""
Amount = Annotated[float, annotated_types.Ge(1e-8), annotated_types.Le(LARGEST_AMOUNT)]
"""A price step or a quantity that the engines' integers hold."""
LeastAmount = Annotated[float, annotated_types.Ge(0), annotated_types.Le(LARGEST_AMOUNT)]
"""A price distance or a minimum, 0 for none, that the engines' integers hold."""

_CONFIG = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


@dataclass_transform(frozen_default=True, kw_only_default=False)
def node(cls: C) -> C:
    """Make a class a node: a frozen pydantic dataclass that refuses unknown fields.

    The docstring under a field is its documentation, shown by `mode=describe` and in the reference.
    """
    made: C = dataclass(frozen=True, config=_CONFIG)(cls)  # type: ignore[assignment]  # pydantic says "a pydantic dataclass" for the same class
    return made


class Node:
    """Base of all nodes: what can stand behind a `_target_` in the configuration."""

    kind: ClassVar[str] = ""
    """The config group whose `_target_` may name this class: feature, strategy, portfolio, risk, ..."""
    kernel: ClassVar[str | None] = None
    """Name of the node's Rust twin; None runs the node's Python inside either engine."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let a field typed with a base class take any node of that kind; a concrete node keeps its own schema."""
        if "__dataclass_fields__" in vars(cls):
            return handler(source)
        return core_schema.is_instance_schema(cls)

    def __init__(self, *given: Any, **named: Any) -> None:
        """Refuse arguments: this is called of a class that is no node yet, whose fields nobody has read."""
        if given or named:
            raise TypeError(forgotten(type(self)))


def lacks_node(cls: type[Any]) -> bool:
    """Whether `@node` was forgotten: the class is no node, or has fields beyond those of the node it is made from."""
    if not hasattr(cls, "__dataclass_fields__"):
        return True
    own = [hint for name, hint in vars(cls).get("__annotations__", {}).items() if not name.startswith("_")]
    return "__dataclass_fields__" not in vars(cls) and any("ClassVar" not in str(hint) for hint in own)


def forgotten(cls: type[Any]) -> str:
    """Say that `@node` is missing above a class."""
    return (
        f"{cls.__name__} is not made a node, so that its fields are not read: write @node in the line above "
        f"class {cls.__name__} (from kraken_flow.core import node)"
    )
