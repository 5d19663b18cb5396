"""Analysis of incident-response telemetry."""

import importlib
import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemetry_kit.public import *  # noqa: F403 - which are all public names
else:
    # What is asked for is imported when it is, and kept: everything together takes a quarter as long again as pandas
    # and Pandera do.
    def __getattr__(name: str) -> object:
        if name == "__all__" or not name.startswith("_"):
            room = importlib.util.find_spec(f"{__name__}.{name}")
            if room and room.origin:  # Folders of data, which have none, are no rooms.
                return importlib.import_module(room.name)
            public = importlib.import_module(f"{__name__}.public")
            if hasattr(public, name):
                return globals().setdefault(name, getattr(public, name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
