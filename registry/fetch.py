"""Download of the public labelled accounts: the right bytes whole, or nothing."""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, Protocol

from runtime.failure import HandledError

TIMEOUT_SECONDS = 30
CHUNK_BYTES = 2**16

Progress = Callable[[int, int | None], None]
"""Told how many bytes of how many are there; the total may be unknown."""


class FetchError(HandledError):
    """The accounts could not be fetched; the message says why and what to do."""


class _Readable(Protocol):
    """What a response offers."""

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; none at the end."""


def fetch(url: str, target: Path, sha256: str, progress: Progress | None = None) -> Path:
    """Download a file and put it at `target` if it has the right SHA-256.

    Args:
        url: An http or https address.
        target: Where it goes; what is there stays until the new file is complete and right.
        sha256: SHA-256 it must have, hex.
        progress: Told how far it is.

    Raises:
        FetchError: No SHA-256 is given, the address does not answer, or other bytes came.
    """
    _check_request(url, sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part")
    try:
        found = _download(url, aside, progress or _tell_nobody)
        if found != sha256.lower():
            raise FetchError(f"{url} has SHA-256 {found}, wanted is {sha256.lower()}; the file was not kept")
        aside.replace(target)
    except (urllib.error.URLError, HTTPException, OSError) as error:
        raise FetchError(
            f"cannot fetch {url}: {error}. Without a network give a file: --dataset PATH or KOL_DATASET"
        ) from error
    finally:
        aside.unlink(missing_ok=True)
    return target


def _check_request(url: str, sha256: str) -> None:
    """Refuse what would be fetched from elsewhere than the web, or unchecked."""
    if not url.startswith(("https://", "http://")):
        raise FetchError(f"KOL_DATASET_URL is {url!r}; wanted is an address that begins with https:// or http://")
    if not sha256:
        raise FetchError(
            f"the SHA-256 of {url} is not set, and an unchecked file is not trained on; look it up where the data is "
            "published, then set KOL_DATASET_SHA256 or give --sha256"
        )


def _download(url: str, aside: Path, progress: Progress) -> str:
    """Write the file; return its SHA-256."""
    request = urllib.request.Request(url, headers={"User-Agent": "kol-trust"})  # noqa: S310 - the scheme was checked
    with (
        urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response,  # noqa: S310 - same
        aside.open("wb") as file,
    ):
        length = response.headers.get("Content-Length")
        total = int(length) if length and length.isdigit() else None
        digest, done = _copy(response, file, lambda count: progress(count, total))
    if total is not None and done != total:
        raise FetchError(f"{url} stopped after {done} of {total} bytes; try again")
    return digest


def _copy(source: _Readable, target: BinaryIO, progress: Callable[[int], None]) -> tuple[str, int]:
    """Copy everything; return its SHA-256 and length."""
    digest, done = hashlib.sha256(), 0
    while chunk := source.read(CHUNK_BYTES):
        target.write(chunk)
        digest.update(chunk)
        done += len(chunk)
        progress(done)
    return digest.hexdigest(), done


def _tell_nobody(_done: int, _of: int | None) -> None:
    """Tell nobody."""
