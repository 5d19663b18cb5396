"""The names of columns that analyses make for themselves: a frame that comes with one would be mistaken."""

from __future__ import annotations

import re

_WORDS = frozenset(
    """
    a action active_stage added after age_s all arrived_us at at_us b before before_us begin_us begins came_to
    cluster commander_user_id create_us created created_us cutoff_us cycle day days down elapsed_s elapsed_us end_us
    ended_at ended_us entered_us entry_s failed first first_day first_end_us first_seen_at first_sent first_us
    from_create from_start from_us furthest given had_ended has_back has_restart has_revisit holds hours is_active
    is_b is_censored is_create is_deleted is_entry is_first is_immature is_incident is_inside is_named is_open
    is_piece is_present is_repeated is_seen is_state_change is_told is_unknown is_valid kind last last_end_us
    last_us latest left left_at left_us length_s loaded_us local_us month n named net new_us next next_state nth
    number of_cycle of_year one open_us order outcome period period_before place rank raw_state row runs s server
    since_us stages start start_least start_us started_us starts_us state status stop stops sum to told total
    total_max total_min unit unnamed unnamed_before unseen_us until_at until_us updates us value visited weeks x
    year
    """.split()  # noqa: SIM905 - a hundred lines otherwise
)
_FAMILIES = re.compile("(begins|ends|held|most|n|not|room|sum|us)_.")


def is_own_name(name: object) -> bool:
    """Tell whether a column has a name that an analysis gives to what it computes on the way."""
    if not isinstance(name, str) or not name.startswith("_"):
        return False
    return name[1:].lower() in _WORDS or _FAMILIES.match(name[1:].lower()) is not None
