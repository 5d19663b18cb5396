"""The Pandera models of the frames, as the declared fields make them, and the data dictionary."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pandas as pd

from telemetry_kit.schemas.fields import EVENT_TYPES, fields_of
from telemetry_kit.schemas.names import natural_key
from telemetry_kit.schemas.values import VALUE_KINDS

# Where Spark is installed, Pandera tries to import its pandas, now and at each validation: with every pandas of today
# that warns, and fails.
warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)

import pandera.pandas as pa  # noqa: E402

if TYPE_CHECKING:
    from telemetry_kit.schemas.fields import EventType, Field


def _rules(field: Field, event_type: EventType) -> object:
    return pa.Field(
        nullable=event_type in field.nullable_in,
        unique=field.column == "event_id",
        ge=VALUE_KINDS[field.kind].least,
        isin=list(field.levels) if field.levels else None,
        ne="" if field.kind == "id" else None,
        description=field.description,
    )


def _model(name: str, event_type: EventType) -> type[pa.DataFrameModel]:
    fields = fields_of(event_type)
    members: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": f"A frame of {event_type} events, as ``load_events`` returns it.\n\nColumns\n-------\n"
        + "\n".join(f"{f.column} : {VALUE_KINDS[f.kind].dtype_name}\n    {f.description}" for f in fields),
        "__annotations__": {f.column: VALUE_KINDS[f.kind].dtype for f in fields},
        "Config": type("Config", (pa.DataFrameModel.Config,), {"strict": True, "coerce": False, "ordered": True}),
        **{f.column: _rules(f, event_type) for f in fields},
    }
    return type(name, (pa.DataFrameModel,), members)


IncidentEvents = _model("IncidentEvents", "incident")
TaskEvents = _model("TaskEvents", "tasks")
PlaybookEvents = _model("PlaybookEvents", "playbook")
MODELS: dict[EventType, type[pa.DataFrameModel]] = {
    "incident": IncidentEvents,
    "tasks": TaskEvents,
    "playbook": PlaybookEvents,
}


def with_categories(frame: pd.DataFrame, event_type: EventType) -> pd.DataFrame:
    """Return a frame of text with its category columns as such: the declared values, or those that occur, in order."""
    for field in fields_of(event_type):
        if field.kind != "category":
            continue
        cells = frame[field.column]
        # Of no rows, Arrow brings no categories either.
        if not isinstance(cells.dtype, pd.CategoricalDtype) or not len(frame):
            text = cells.astype("str")
            levels = field.levels or sorted(text.dropna().unique(), key=natural_key)
            frame[field.column] = cells = pd.Series(pd.Categorical(text, pd.Index(levels, dtype="str")), frame.index)
        # Versions have an order, so that one can ask for what is later than 1.9.0; what was done has none.
        if field.column.endswith("_version"):
            levels = sorted(cells.cat.categories, key=natural_key)
            frame[field.column] = cells.cat.set_categories(pd.Index(levels, dtype="str"), ordered=True)
    return frame


def _least(field: Field) -> str | None:
    least = VALUE_KINDS[field.kind].least
    return None if least is None else f">= {least:%Y-%m-%d}" if field.kind == "time" else f">= {least}"


def data_dictionary() -> pd.DataFrame:
    """Return the fields of the contract, one row per event type and column.

    Returns
    -------
    pandas.DataFrame
        ``event_type``, ``column``, ``type`` (pandas), ``nullable`` (bool), ``published`` and ``wire`` (the field's
        names there, null where it has none), ``values`` (the values it may take, null where any) and ``description``.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> tk.schemas.data_dictionary().query("column == 'active_stage'")["wire"].item()
    'ActiveStage'
    """
    rows = [
        {
            "event_type": event_type,
            "column": field.column,
            "type": VALUE_KINDS[field.kind].dtype_name,
            "nullable": event_type in field.nullable_in,
            "published": field.published,
            "wire": field.wire,
            "values": ", ".join(field.levels) or _least(field),
            "description": field.description,
        }
        for event_type in EVENT_TYPES
        for field in fields_of(event_type)
    ]
    return pd.DataFrame(rows)
