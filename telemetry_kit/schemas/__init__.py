"""The one place that knows a field: its names everywhere, its type, its rules and what it means.

The reader's queries, the Pandera models, the reasons in the quarantine and the data dictionary all follow from
``FIELDS``. Adding a field is one line there.
"""

from telemetry_kit.schemas.fields import (
    ACTIONS,
    CREATE_WITHIN_S,
    EVENT_TYPES,
    FIELDS,
    LAST_STAGED_VERSION,
    LEGACY_EVENTS,
    NEW_STATES,
    OPEN_STATUSES,
    STATE_CHANGE,
    STATE_SPELLINGS,
    STATUSES,
    EventType,
    Field,
    Kind,
    columns_of,
    fields_of,
)
from telemetry_kit.schemas.models import (
    MODELS,
    IncidentEvents,
    PlaybookEvents,
    TaskEvents,
    data_dictionary,
    with_categories,
)

__all__ = [
    "ACTIONS",
    "CREATE_WITHIN_S",
    "EVENT_TYPES",
    "FIELDS",
    "LAST_STAGED_VERSION",
    "LEGACY_EVENTS",
    "MODELS",
    "NEW_STATES",
    "OPEN_STATUSES",
    "STATE_CHANGE",
    "STATE_SPELLINGS",
    "STATUSES",
    "EventType",
    "Field",
    "IncidentEvents",
    "Kind",
    "PlaybookEvents",
    "TaskEvents",
    "columns_of",
    "data_dictionary",
    "fields_of",
    "with_categories",
]
