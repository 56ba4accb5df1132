"""`./kol score`: every row in its place, the scores those of the model, bad rows named, and no half file."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.score_models import Scorer
from cli.score_rows import CHUNK_ROWS, ScoredRow, scored_rows
from features.profile import RAW_COLUMNS, RAW_NAMES, Profiles
from features.reference import TRUSTWORTHY, UNTRUSTWORTHY
from features.score import result_fields
from registry.model import TrustModel, unpack
from registry.package import MANIFEST, TEXT
from registry.shelf import Shelf
from registry.staging import register
from registry.truth import open_registry
from runtime.profile_files import Record, read_records
from runtime.settings import Settings
from tests.support_cli import kol
from tests.support_events import Values, varied_values
from tests.support_model import tiny_package, tiny_shelf

GOOD = [TRUSTWORTHY.values(), UNTRUSTWORTHY.values()]
ENDINGS = [".csv", ".jsonl", ".parquet"]
NEGATIVE = dict(zip(RAW_NAMES, TRUSTWORTHY.values(), strict=True)) | {"kol_id": "k2", "post_count": -1}


def as_fields(values: Sequence[Values]) -> list[dict[str, Any]]:
    """Return profiles as rows of a file, each with an id."""
    return [{"kol_id": f"k{number}", **dict(zip(RAW_NAMES, row, strict=True))} for number, row in enumerate(values)]


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["kol_id", *RAW_NAMES])
        writer.writeheader()
        writer.writerows(rows)


def write_json(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    kinds = {"count": pa.int64(), "flag": pa.bool_()}
    schema = pa.schema([("kol_id", pa.string()), *((column.name, kinds[column.kind]) for column in RAW_COLUMNS)])
    pq.write_table(pa.Table.from_pylist(list(rows), schema), path)


WRITERS: dict[str, Callable[[Path, Sequence[dict[str, Any]]], None]] = {
    ".csv": write_csv,
    ".jsonl": write_json,
    ".parquet": write_parquet,
}


def read_csv(path: Path) -> list[dict[str, Any]]:
    """Read scores from CSV back into their types."""
    with path.open(newline="") as file:
        return [{name: cell_value(name, cell) for name, cell in row.items()} for row in csv.DictReader(file)]


def cell_value(name: str, cell: str) -> object:
    if name in {"missing", "out_of_range"}:
        return cell.split(";") if cell else []
    if name in {"row", "hundredths", "trust_score", "confidence", "is_trustworthy"}:
        return json.loads(cell) if cell else None
    return cell or None


READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    ".csv": read_csv,
    ".jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
    ".parquet": lambda path: pq.read_table(path).to_pylist(),
}


@pytest.fixture
def model() -> TrustModel:
    return unpack(tiny_package(), "lightgbm")


@pytest.fixture
def home(settings: Settings) -> Settings:
    """Return settings of a home in which a model is in Production."""
    tiny_shelf(Shelf.at(settings.shelf))
    return settings


def expected(values: Sequence[Values], model: TrustModel) -> list[dict[str, Any]]:
    """Return what must be written of good rows, asked of the model itself."""
    scored = model.score(Profiles.of_rows(values))
    return [
        {"row": row + 1, **result_fields(hundredths), "out_of_range": list(scored.out_of_range(row))}
        for row, hundredths in enumerate(scored.hundredths.tolist())
    ]


def picked(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in names} for row in rows]


@pytest.mark.parametrize("ending", ENDINGS)
def test_scores_are_those_of_the_model_whatever_the_format(
    ending: str, home: Settings, model: TrustModel, tmp_path: Path
) -> None:
    values = varied_values(500, seed=1)
    source, out = tmp_path / f"in{ending}", tmp_path / f"out{ending}"
    WRITERS[ending](source, as_fields(values))
    ended = kol("score", str(source), "--out", str(out), "--json", settings=home)
    found, wanted = READERS[ending](out), expected(values, model)
    assert (ended.code, ended.json["scored"]) == (0, 500)
    assert picked(found, list(wanted[0])) == wanted
    assert [row["kol_id"] for row in found] == [f"k{number}" for number in range(500)]
    assert {row["model_version"] for row in found} == {"trust-score-lightgbm-optuna-Production-v1"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_refused_row_keeps_its_place_and_says_why(ending: str, home: Settings, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / f"out{ending}"
    good = as_fields(GOOD)
    write_json(source, [good[0], NEGATIVE, good[1]])
    with source.open("ab") as file:
        file.write(b"garbage\n")
    ended = kol("score", str(source), "--out", str(out), "--json", settings=home)
    rows = READERS[ending](out)
    assert ended.json["refused_by_reason"] == {"negative": 1, "unparsable": 1}
    assert [row["risk_level"] for row in rows] == ["low", None, "high", None]
    assert [row["kol_id"] for row in rows] == ["k0", "k2", "k1", None]
    assert (rows[1]["refusal_reason"], rows[1]["refusal_field"]) == ("negative", "post_count")
    assert "post_count is -1" in rows[1]["refusal_detail"]
    assert (rows[1]["trust_score"], rows[0]["refusal_reason"]) == (None, None)


def test_what_is_unknown_is_evidence_not_zero(home: Settings, tmp_path: Path) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    source.write_text("id,followers_count,following_count,post_count,account_age_days\n7,10,10,10,10\n")
    assert kol("score", str(source), "--out", str(out), settings=home).code == 0
    [row] = READERS[".jsonl"](out)
    assert row["kol_id"] == "7"
    assert row["missing"] == ["favorites_count", "verified", "has_bio", "has_profile_image", "bio_length"]


def test_the_public_column_names_are_understood(home: Settings, model: TrustModel, tmp_path: Path) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    source.write_text(
        "id,favourites_count,followers_count,friends_count,statuses_count,verified,default_profile_image,"
        "description,account_age_days,account_type\n"
        "acct1,500000,100000,500,2000,True,False,......,2000,human\n"
    )
    assert kol("score", str(source), "--out", str(out), settings=home).code == 0
    [row] = READERS[".jsonl"](out)
    values: Values = (100_000, 500, 2_000, 500_000, 2_000, True, True, None, True, 6)
    assert row["hundredths"] == expected([values], model)[0]["hundredths"]
    assert row["kol_id"] == "acct1"


def test_without_a_good_row_the_exit_code_is_1_and_the_file_says_why(home: Settings, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.csv"
    write_json(source, [NEGATIVE])
    ended = kol("score", str(source), "--out", str(out), settings=home)
    assert ended.code == 1
    assert "no row of" in ended.err
    assert [row["refusal_reason"] for row in read_csv(out)] == ["negative"]


def test_a_file_that_breaks_off_leaves_what_was_there(home: Settings, tmp_path: Path) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    write_csv(source, as_fields(varied_values(CHUNK_ROWS + 1, seed=2)))
    with source.open("ab") as file:
        file.write(b'\xff\xfe"\n')
    out.write_text("before")
    ended = kol("score", str(source), "--out", str(out), settings=home)
    assert ended.code == 1
    assert "cannot read profiles" in ended.err
    assert (out.read_text(), sorted(path.name for path in tmp_path.iterdir())) == ("before", ["in.csv", "out.csv"])


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("out.xlsx", "scores are written as .csv"),
        ("nosuchfolder/out.csv", "No such file or directory"),
        ("in.jsonl", "is the file that is read"),
    ],
)
def test_an_out_that_will_not_do_is_refused(out: str, says: str, home: Settings, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    write_json(source, as_fields(GOOD))
    ended = kol("score", str(source), "--out", str(tmp_path / out), settings=home)
    assert (ended.code, ended.out) == (1, "")
    assert says in ended.err
    assert len(source.read_text().splitlines()) == len(GOOD)


def test_without_a_production_model_it_says_what_to_run(settings: Settings, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    write_json(source, as_fields(GOOD))
    ended = kol("score", str(source), "--out", str(tmp_path / "out.csv"), settings=settings)
    assert ended.code == 1
    assert "./kol train" in ended.err


def test_a_model_in_a_folder_scores(settings: Settings, tmp_path: Path) -> None:
    package = tiny_package(seed=2)
    (tmp_path / MANIFEST).write_bytes(package.manifest)
    (tmp_path / TEXT).write_bytes(package.text)
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    values = varied_values(50, seed=3)
    write_json(source, as_fields(values))
    ended = kol("score", str(source), "--out", str(out), "--model", str(tmp_path), "--json", settings=settings)
    found, wanted = READERS[".jsonl"](out), expected(values, unpack(package, "lightgbm"))
    assert (ended.code, ended.json["model_sha"]) == (0, package.sha)
    assert picked(found, list(wanted[0])) == wanted
    assert found[0]["model_version"] == f"trust-score-lightgbm-optuna-{package.sha[:12]}"


def test_a_registered_version_scores_before_it_is_in_production(settings: Settings, tmp_path: Path) -> None:
    package = tiny_package(seed=2)
    version = register(open_registry(settings), package)
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_json(source, as_fields(GOOD))
    ended = kol("score", str(source), "--out", str(out), "--model", str(version.number), "--json", settings=settings)
    assert (ended.code, ended.json["model_sha"]) == (0, package.sha)
    assert ended.json["model_version"] == "trust-score-lightgbm-optuna-None-v1"
    missing = kol("score", str(source), "--out", str(out), "--model", "9", settings=settings)
    assert missing.code == 1
    assert "has no version 9" in missing.err


def test_chunks_make_no_difference(model: TrustModel) -> None:
    values = varied_values(CHUNK_ROWS + 100, seed=4)
    records = [Record(row, json.dumps(fields).encode()) for row, fields in enumerate(as_fields(values), start=1)]
    chunks = list(scored_rows(records, Scorer("m", model)))
    rows = [row for chunk in chunks for row in chunk]
    assert [len(chunk) for chunk in chunks] == [CHUNK_ROWS, 100]
    assert [row.row for row in rows] == list(range(1, len(values) + 1))
    whole = model.score(Profiles.of_rows(values)).hundredths.tolist()
    assert [row.hundredths for row in rows] == whole


def test_every_column_is_in_every_format(home: Settings, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    write_json(source, as_fields(GOOD))
    columns = []
    for ending in ENDINGS:
        kol("score", str(source), "--out", str(tmp_path / f"out{ending}"), settings=home)
        columns.append(tuple(READERS[ending](tmp_path / f"out{ending}")[0]))
    assert columns == [ScoredRow.__struct_fields__] * len(ENDINGS)


def test_scores_read_back_as_scores(home: Settings, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_json(source, as_fields(GOOD))
    kol("score", str(source), "--out", str(out), settings=home)
    rows = [msgspec.json.decode(record.data, type=ScoredRow) for record in read_records(out)]
    assert [row.risk_level for row in rows] == ["low", "high"]
