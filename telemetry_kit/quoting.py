"""Names and texts in SQL."""


def quote_literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_identifier(name: str) -> str:
    """Return the name of a column, table or file as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
