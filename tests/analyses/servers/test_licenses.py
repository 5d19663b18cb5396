"""Under which licence a server was."""

import duckdb
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.errors import ParameterError


def day(number: float | None) -> pd.Timestamp:
    return pd.NaT if number is None else pd.Timestamp("2020-10-31", tz="UTC") + pd.Timedelta(number, "D")


def licenses(*rows: tuple) -> pd.DataFrame:
    """Licences: server, edition, first day, last day; and a contact that nobody may see."""
    frame = pd.DataFrame(rows, columns=["server_id", "edition", "starts_at", "ends_at"])
    for time in ("starts_at", "ends_at"):
        frame[time] = pd.to_datetime([day(number) for number in frame[time]], utc=True).as_unit("us")
    return frame.assign(contact="someone@example.org")


def events(*rows: tuple) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["server_id", "event_timestamp"])
    frame["event_timestamp"] = pd.to_datetime([day(number) for number in frame["event_timestamp"]], utc=True).as_unit(
        "us"
    )
    return frame.assign(event_id=[str(place) for place in range(len(frame))])


EVENTS = events(("a", 5), ("a", 1), ("a", 3), ("b", 3), ("a", 7), ("a", 8))


def editions(frame: pd.DataFrame, *rows: tuple) -> list[str | None]:
    edition = tk.attach_license(frame, licenses(*rows))["edition"]
    return [None if pd.isna(name) else name for name in edition]


def test_a_licence_holds_from_its_start_until_just_before_its_end():
    got = editions(EVENTS, ("a", "E10", 3, 7), ("c", "E20", 1, None))
    assert got == ["E10", "unlicensed", "E10", "unlicensed", "unlicensed", "unlicensed"]


def test_a_licence_without_an_end_is_open():
    assert editions(EVENTS, ("a", "E20", 4, None))[3:] == ["unlicensed", "E20", "E20"]


def test_of_two_licences_the_one_that_started_last_holds_and_then_the_other_again():
    got = editions(EVENTS, ("a", "E10", 1, None), ("a", "trial", 3, 7))
    assert got == ["trial", "E10", "trial", "unlicensed", "E10", "E10"]


def test_of_two_licences_that_started_together_the_one_that_ends_last_holds():
    assert editions(EVENTS, ("a", "E10", 1, 9), ("a", "E20", 1, None), ("a", "E30", 1, 4)) == [
        "E20",
        "E20",
        "E20",
        "unlicensed",
        "E20",
        "E20",
    ]


def test_nothing_but_the_edition_comes_along_and_rows_stay_as_they_were():
    got = tk.attach_license(EVENTS, licenses(("a", "E10", 3, 7), ("a", "E20", 4, 6), ("a", "E20", 5, None)))
    pd.testing.assert_frame_equal(got.drop(columns="edition"), EVENTS)
    assert list(got.columns) == [*EVENTS.columns, "edition"]


def test_a_row_without_a_time_has_no_known_edition():
    visits = pd.DataFrame({"server_id": ["a", "b"], "entered_at": pd.to_datetime([None, None], utc=True)})
    got = tk.attach_license(visits, licenses(("a", "E10", 1, None)), at="entered_at")
    assert got["edition"].isna().all()


def test_licences_may_all_be_open_or_not_there_at_all():
    every_open = licenses(("a", "E10", 1, None)).assign(ends_at=None)
    assert list(tk.attach_license(EVENTS, every_open)["edition"].iloc[[0, 3]]) == ["E10", "unlicensed"]
    assert set(tk.attach_license(EVENTS, every_open.iloc[:0].assign(ends_at=None))["edition"]) == {"unlicensed"}
    assert len(tk.attach_license(EVENTS.iloc[:0], every_open)) == 0


def test_a_licence_without_a_start_is_passed_over():
    assert editions(EVENTS, ("a", "E10", None, None), ("a", "E20", 4, 6)) == [
        "E20", "unlicensed", "unlicensed", "unlicensed", "unlicensed", "unlicensed",
    ]  # fmt: skip
    assert editions(EVENTS, ("a", "E10", None, 6)) == ["unlicensed"] * len(EVENTS)


@pytest.mark.parametrize("zone", ["UTC", "Etc/UTC", "Europe/Berlin"])
def test_licences_of_duckdb_may_all_be_open_whatever_the_zone_of_the_session(zone):
    connection = duckdb.connect()
    connection.execute(f"SET TimeZone = '{zone}'")
    rows = connection.sql("SELECT 'a' AS server_id, TIMESTAMPTZ '2020-11-02 00:00:00+00' AS event_timestamp")
    starts = (
        "SELECT 'a' AS server_id, 'E10' AS edition, TIMESTAMPTZ '2020-11-01 00:00:00+00' AS starts_at, NULL AS ends_at"
    )
    attached = tk.attach_license(rows, connection.sql(starts))
    assert tk.to_pandas(attached)["edition"].tolist() == ["E10"]


def test_days_and_times_without_a_zone_are_in_utc():
    given = licenses(("a", "E10", 3, 7))
    naive = given.assign(
        starts_at=given["starts_at"].dt.tz_localize(None), ends_at=given["ends_at"].dt.tz_localize(None)
    )
    dates = given.assign(starts_at=given["starts_at"].dt.date, ends_at=given["ends_at"].dt.date)
    for other in (naive, dates):
        pd.testing.assert_frame_equal(tk.attach_license(EVENTS, other), tk.attach_license(EVENTS, given))


def test_every_analysis_can_be_grouped_by_edition(oct2020):
    servers = sorted(oct2020.playbook["server_id"].unique())
    given = licenses(*((server, "E20", -999, None) for server in servers[::2]))
    snapshot = tk.playbook_snapshot(tk.attach_license(oct2020.playbook, given), as_of=oct2020.cutoff)
    sizes = tk.playbook_sizes(snapshot, by="edition")
    assert list(sizes["edition"]) == ["E20", "unlicensed"]
    assert sizes["n"].sum() == len(snapshot)


def test_every_kind_of_frame_gives_its_own_kind_with_the_same_rows(as_kind, oct2020):
    servers = sorted(oct2020.incident["server_id"].unique())
    given = licenses(*((server, f"E{place}", place, place + 20) for place, server in enumerate(servers[:20])))
    expected = tk.attach_license(oct2020.incident, given)
    assert expected["edition"].nunique() > 10
    frame = as_kind(oct2020.incident)
    for beside in (given, as_kind(given)):
        got = tk.attach_license(frame, beside)
        assert type(got) is type(frame)
        collected = engine.collect(engine.open_frame(got, [], parameter="frame"))
        # SQL keeps no order of rows.
        by_id = [table.sort_values("event_id", ignore_index=True) for table in (collected, expected)]
        pd.testing.assert_frame_equal(*by_id)


def test_mistakes_are_named():
    given = licenses(("a", "E10", 3, 7))
    with pytest.raises(ParameterError, match=r"licenses has no column 'ends_at'"):
        tk.attach_license(EVENTS, given.drop(columns="ends_at"))
    with pytest.raises(ParameterError, match=r"licenses\['starts_at'\]: got 'text', expected times"):
        tk.attach_license(EVENTS, given.assign(starts_at="2020-11-01"))
    with pytest.raises(ParameterError, match=r"frame: got 'a frame with edition'"):
        tk.attach_license(EVENTS.assign(edition="E10"), given)
    with pytest.raises(ParameterError, match=r"frame has no column 'entered_at'"):
        tk.attach_license(EVENTS, given, at="entered_at")


def test_a_lazy_frame_of_another_engine_is_not_brought_over():
    import polars as pl

    given = pl.from_pandas(licenses(("a", "E10", 3, 7))).lazy()
    with pytest.raises(ParameterError, match="licenses: got 'a frame on polars', expected one on duckdb"):
        tk.attach_license(EVENTS, given)
