"""The tables that a log has beside its events, and the file by which a saved log is known."""

AUDIT_COLUMNS = [
    "source",
    "n_read",
    "n_incident",
    "n_tasks",
    "n_playbook",
    "n_duplicate",
    "n_rejected",
    "n_other",
    "n_before_since",
    "n_after_cutoff",
]
MARK = "event-log.json"
ARRIVED = "arrived.parquet"
"""The file of a saved log to which others can be added: every valid event, where and in which order it came."""
QUARANTINE_COLUMNS = ["source", "record", "event_type", "reason", "raw"]
TABLES = {
    "quarantine": QUARANTINE_COLUMNS,
    "audit": AUDIT_COLUMNS,
    "seen": ["finding", "event_type", "detail", "n"],
}
