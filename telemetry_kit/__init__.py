"""Analysis of incident-response telemetry."""

import importlib as _importlib
import sys as _sys
import types as _types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemetry_kit.public import *  # noqa: F403 - which are all public names

    __version__: str
else:
    _PUBLIC_MODULES = ("errors", "plots", "schemas")

    class _Root(_types.ModuleType):
        """The root as users see it: the public names, each imported when it is first asked for, and nothing else."""

        def __setattr__(self, name: str, value: object) -> None:
            # Python binds every module below to the root once it is imported, where completion would offer it.
            if not isinstance(value, _types.ModuleType) or name in _PUBLIC_MODULES:
                super().__setattr__(name, value)

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return _importlib.import_module("importlib.metadata").version("telemetry-kit")
        if name in _PUBLIC_MODULES:
            return _importlib.import_module(f"{__name__}.{name}")
        # All together take a quarter as long again as pandas and Pandera do; a submodule is nobody's public name.
        if name == "__all__" or not name.startswith("_"):
            public = _importlib.import_module(f"{__name__}.public")
            if name in public.__all__ or name == "__all__":
                return globals().setdefault(name, getattr(public, name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*__getattr__("__all__"), "__version__", "__doc__", "__name__", "__file__", "__path__"})

    _sys.modules[__name__].__class__ = _Root
