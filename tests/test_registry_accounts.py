"""Labelled accounts: the reader of the upstream's CSV, what it refuses, and where the accounts come from."""

from pathlib import Path

import numpy as np
import pytest

from registry.accounts import SHARED_DATASET, Accounts, AccountsError, find_accounts, read_accounts
from registry.cells import READERS
from runtime.settings import Settings
from tests.conftest import NewSettings

HEADER = ",".join(READERS)
GOOD = {
    "id": "a1",
    "created_at": "2016-11-09 05:01:30",
    "followers_count": "860",
    "friends_count": "880",
    "statuses_count": "252",
    "favourites_count": "536",
    "account_age_days": "1379",
    "verified": "False",
    "default_profile_image": "False",
    "description": "Grüße, Köln",
    "account_type": "human",
}
BOT = {**GOOD, "id": "b1", "account_type": "bot", "default_profile_image": "True", "description": ""}


def line_of(row: dict[str, str]) -> str:
    return ",".join(f'"{row[name]}"' for name in READERS)


def read(*rows: dict[str, str] | str) -> Accounts:
    lines = [HEADER, *(row if isinstance(row, str) else line_of(row) for row in rows)]
    return read_accounts("\n".join(lines).encode(), origin="accounts.csv", synthetic=False)


def test_upstream_columns_become_raw_profiles() -> None:
    accounts = read(GOOD, BOT)
    values = {name: column.tolist() for name, column in accounts.profiles.columns().items() if name != "has_url"}
    assert accounts.ids.tolist() == ["a1", "b1"]
    assert accounts.labels.tolist() == [0.0, 1.0]
    assert values == {
        "followers_count": [860, 860],
        "following_count": [880, 880],
        "post_count": [252, 252],
        "favorites_count": [536, 536],
        "account_age_days": [1379, 1379],
        "verified": [0, 0],
        "has_bio": [1, 0],
        "has_profile_image": [1, 0],
        "bio_length": [11, 0],
    }


def test_no_upstream_column_tells_of_a_url_so_it_is_unknown() -> None:
    assert np.isnan(read(GOOD, BOT).profiles.has_url).all()


def test_the_age_is_the_one_of_the_crawl_whatever_the_creation_date_says() -> None:
    old = {**GOOD, "created_at": "1999-01-01 00:00:00"}
    assert read(old, BOT).profiles.account_age_days.tolist() == [1379, 1379]


def test_the_original_csv_with_an_index_column_and_more_columns_is_read() -> None:
    header = "," + HEADER + ",location,lang"
    rows = ["0," + line_of(GOOD) + ',"Köln, DE",de', "1," + line_of(BOT) + ",unknown,en"]
    content = "\ufeff" + "\r\n".join([header, *rows]) + "\r\n"
    assert len(read_accounts(content.encode(), origin="original.csv", synthetic=False)) == 2


def test_only_what_may_be_unknown_is_unknown_when_empty() -> None:
    gaps = {**GOOD, "favourites_count": "", "verified": "", "default_profile_image": ""}
    profiles = read(gaps, BOT).profiles
    assert np.isnan([profiles.favorites_count[0], profiles.verified[0], profiles.has_profile_image[0]]).all()


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("id", "", "text of 1 to 128 bytes"),
        ("created_at", "", "a date and time like"),
        ("created_at", "yesterday", "a date and time like"),
        ("followers_count", "", "a whole number"),
        ("followers_count", "-1", "a whole number"),
        ("friends_count", "1e3", "a whole number"),
        ("statuses_count", "12.5", "a whole number"),
        ("statuses_count", "nan", "a whole number"),
        ("favourites_count", "inf", "a whole number"),
        ("favourites_count", "9007199254740993", "a whole number"),
        ("account_age_days", "١٢", "a whole number"),
        ("verified", "yes", "True or False"),
        ("default_profile_image", "1", "True or False"),
        ("account_type", "", "one of bot, human"),
        ("account_type", "Human", "one of bot, human"),
    ],
)
def test_a_bad_cell_refuses_its_row_and_says_where_and_why(field: str, value: str, why: str) -> None:
    accounts = read(GOOD, {**GOOD, "id": "x", field: value}, BOT)
    (refused,) = accounts.refused
    assert (refused.line, refused.field, refused.value) == (3, field, value)
    assert why in refused.why
    assert accounts.ids.tolist() == ["a1", "b1"]


def test_the_second_account_of_an_id_is_refused_and_points_to_the_first() -> None:
    (refused,) = read(GOOD, BOT, {**GOOD, "account_type": "bot"}).refused
    assert str(refused) == "line 4: id is 'a1'; the account of line 2 has it already"


def test_lines_are_those_of_the_file_also_after_a_description_with_line_breaks() -> None:
    accounts = read({**GOOD, "description": "one\ntwo\nthree"}, {**BOT, "id": ""}, BOT)
    assert [refused.line for refused in accounts.refused] == [5]
    assert accounts.profiles.bio_length.tolist() == [13, 0]


def test_a_row_with_too_few_cells_is_refused() -> None:
    (refused,) = read(GOOD, "b2,2016-11-09 05:01:30,3", BOT).refused
    assert (refused.line, refused.why) == (3, "the row has 3 cells, the header 11")


def test_numbers_as_table_tools_write_them_beside_gaps_are_read() -> None:
    assert read({**GOOD, "favourites_count": "536.0"}, BOT).profiles.favorites_count.tolist() == [536, 536]


def test_a_missing_column_is_named_with_what_is_there() -> None:
    content = b"id,followers_count\na,1\n"
    with pytest.raises(AccountsError, match=r"needs the columns created_at, .*there are: id, followers_count"):
        read_accounts(content, origin="short.csv", synthetic=False)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "there are: none"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (f'{HEADER}\n"a,b'.encode(), "no CSV from line 2 on"),
        (f"{HEADER}\n{line_of(GOOD)}".encode(), "1 usable accounts, not of both labels"),
        (f"{HEADER}\n{line_of({**GOOD, 'id': ''})}".encode(), "refused rows: line 2: id is ''"),
    ],
)
def test_a_file_that_is_no_table_of_labelled_accounts_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(AccountsError, match=says):
        read_accounts(content, origin="bad.csv", synthetic=False)


def test_the_digest_is_that_of_the_file() -> None:
    assert read(GOOD, BOT).digest == read(GOOD, BOT).digest
    assert read(GOOD, BOT).digest != read(BOT, GOOD).digest


def a_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADER, line_of(GOOD), line_of(BOT)]), "utf-8")
    return path


def test_the_given_dataset_comes_first(new_settings: NewSettings, tmp_path: Path) -> None:
    given = a_file(tmp_path / "given.csv")
    source = find_accounts(new_settings(dataset=given))
    assert (source.path, source.synthetic) == (given, False)
    assert len(source.load()) == 2


def test_a_given_dataset_that_is_not_there_is_no_reason_to_take_another(new_settings: NewSettings) -> None:
    with pytest.raises(AccountsError, match=r"there is no file nowhere\.csv; --dataset takes"):
        find_accounts(new_settings(dataset=Path("nowhere.csv")))


def test_then_the_shared_then_the_fetched_then_generated_accounts(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared.csv"
    monkeypatch.setattr("registry.accounts.SHARED_DATASET", shared)
    assert find_accounts(settings).path is None
    fetched = a_file(settings.home / "data" / "twitter_human_bots.csv")
    assert find_accounts(settings).path == fetched.resolve()
    a_file(shared)
    assert find_accounts(settings).path == shared


def test_generated_accounts_are_announced_plausible_and_always_the_same(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.accounts.SHARED_DATASET", tmp_path / "none")
    source = find_accounts(settings)
    accounts = source.load()
    assert source.describe().startswith("SYNTHETIC DATA")
    assert accounts.synthetic
    assert len(accounts) == 4_000
    assert accounts.refused == ()
    assert 0.3 < accounts.labels.mean() < 0.4
    assert accounts.digest == source.load().digest


@pytest.mark.skipif(not SHARED_DATASET.is_file(), reason="the real accounts are not on this machine")
def test_all_real_accounts_are_read(new_settings: NewSettings) -> None:
    accounts = find_accounts(new_settings()).load()
    assert accounts.refused == ()
    assert len(accounts) > 25_000
    assert accounts.profiles.account_age_days.min() == 483
