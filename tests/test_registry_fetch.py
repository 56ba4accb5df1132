"""The download keeps the right bytes whole, or nothing."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from registry.fetch import FetchError, fetch

CONTENT = b"id,account_type\n" * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Pages(BaseHTTPRequestHandler):
    """Serves the content, half of it, or nothing."""

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/none":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.path == "/all" else CONTENT[: len(CONTENT) // 2])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Say nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_right_file_is_kept_and_its_progress_told(site: str, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = fetch(f"{site}/all", tmp_path / "data" / "a.csv", SHA256.upper(), lambda done, of: told.append((done, of)))
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert len(told) > 1


@pytest.mark.parametrize(
    ("page", "sha256", "says"),
    [
        ("all", "0" * 64, f"has SHA-256 {SHA256}, wanted is 0000"),
        ("half", SHA256, "cannot fetch|stopped after"),
        ("none", SHA256, "404"),
        ("all", "", "SHA-256 of .* is not set.*KOL_DATASET_SHA256 or give --sha256"),
    ],
)
def test_what_is_not_right_leaves_the_old_file_and_no_part_of_a_new_one(
    site: str, tmp_path: Path, page: str, sha256: str, says: str
) -> None:
    target = tmp_path / "a.csv"
    target.write_bytes(b"old")
    with pytest.raises(FetchError, match=says):
        fetch(f"{site}/{page}", target, sha256)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert target.read_bytes() == b"old"


def test_without_a_network_it_says_what_else_to_do(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"cannot fetch .*Without a network give a file: --dataset PATH"):
        fetch("http://127.0.0.1:9/a.csv", tmp_path / "a.csv", SHA256)


def test_only_the_web_is_fetched_from(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="begins with https://"):
        fetch("file:///etc/passwd", tmp_path / "a.csv", SHA256)
