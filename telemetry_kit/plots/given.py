"""What a caller may ask of every picture besides its table: another title, another caption, other colours."""

from __future__ import annotations

import contextvars
import functools
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
"""Told apart with every kind of colour vision: those of Okabe and Ito, with grey in the place of the pale yellow."""

PARAMETERS = """    title
        Another title than the picture's own; False for none.
    caption
        Another line above the axes than the one that says what was counted; False for none.
    palette
        The name of a palette of seaborn, or colours, in the place of those of Okabe and Ito.
"""


@dataclass(frozen=True)
class _Given:
    title: str | Literal[False] | None = None
    caption: str | Literal[False] | None = None
    colors: tuple[str, ...] = COLORS


_given: contextvars.ContextVar[_Given] = contextvars.ContextVar("given", default=_Given())  # noqa: B039 - it is frozen


class Plot(Protocol):
    """A picture: a table in, axes out."""

    def __call__(
        self,
        table: pd.DataFrame,
        *tables: pd.DataFrame | None,
        ax: Axes | None = None,
        title: str | Literal[False] | None = None,
        caption: str | Literal[False] | None = None,
        palette: str | Sequence[Any] | None = None,
        **options: Any,  # noqa: ANN401 - those of the picture itself
    ) -> Axes:
        """Draw the table."""


def picture(draw: Callable[..., Axes]) -> Plot:
    """Let a picture take ``title``, ``caption`` and ``palette``, which hold for all that it draws.

    Parameters
    ----------
    draw
        Draws a table. Its docstring lists ``ax`` last among its parameters.

    Returns
    -------
    callable
        The same with the three parameters, which its signature and docstring name.
    """

    @functools.wraps(draw)
    def drawn(
        *tables: Any,  # noqa: ANN401 - as the picture takes them
        title: str | Literal[False] | None = None,
        caption: str | Literal[False] | None = None,
        palette: str | Sequence[Any] | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Axes:
        # A picture that draws another hands on what it was asked for.
        outer = _given.get()
        asked = _Given(
            outer.title if title is None else title,
            outer.caption if caption is None else caption,
            outer.colors if palette is None else _colors_of(palette),
        )
        token = _given.set(asked)
        try:
            return draw(*tables, **options)
        finally:
            _given.reset(token)

    own = inspect.signature(draw)
    kinds = {"title": "str | Literal[False] | None", "caption": "str | Literal[False] | None"}
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in (kinds | {"palette": "str | Sequence[Any] | None"}).items()
    ]
    drawn.__signature__ = own.replace(parameters=[*own.parameters.values(), *added])  # type: ignore[attr-defined]
    drawn.__doc__ = (
        (draw.__doc__ or "")
        .replace("\n    Returns\n", f"{PARAMETERS}\n    Returns\n", 1)
        .replace(f"\n\n{PARAMETERS}", f"\n{PARAMETERS}", 1)
    )
    return drawn


def colors() -> tuple[str, ...]:
    """Return the colours of the picture that is being drawn, at least eight."""
    return _given.get().colors


def chosen(own: str, which: Literal["title", "caption"]) -> str:
    """Return a picture's own title or caption, or the one that was asked for; empty where none is to be."""
    asked: str | Literal[False] | None = getattr(_given.get(), which)
    return own if asked is None else asked or ""


def _colors_of(palette: str | Sequence[Any]) -> tuple[str, ...]:
    import seaborn as sns
    from matplotlib.colors import to_hex

    try:
        given = [to_hex(color) for color in sns.color_palette(palette if isinstance(palette, str) else list(palette))]
    except (ValueError, TypeError) as error:
        raise ParameterError("palette", palette, f"the name of a palette of seaborn, or colours ({error})") from None
    if not given:
        raise ParameterError("palette", palette, "at least one color")
    return tuple(given[number % len(given)] for number in range(max(len(given), len(COLORS))))
