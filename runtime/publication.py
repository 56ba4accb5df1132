"""`published.json`: the one value that says which versions of the batch tables readers open, swapped atomically.

Delta has no commit over two tables; this file is that commit.
"""

import msgspec
from msgspec import Struct

from runtime.failure import HandledError
from runtime.files import publish, read_published
from runtime.settings import Settings

FILE = "published.json"


class Published(Struct, frozen=True, forbid_unknown_fields=True):
    """One published nightly run.

    Attributes:
        run_id: Name of the run.
        cutoff: Events before this instant were taken in (RFC 3339, UTC).
        score_date: Partition of the batch tables that holds this run, `YYYY-MM-DD`.
        tables: Version of every table that was read or written, by table name.
        model_sha: Model that scored.
        promotion_seq: Promotion under which it scored.
        contract: Feature contract.
        kols: How many KOLs have a score in it.
        published_at: When it was published (RFC 3339, UTC).
    """

    run_id: str
    cutoff: str
    score_date: str
    tables: dict[str, int]
    model_sha: str
    promotion_seq: int
    contract: str
    kols: int
    published_at: str


class PublicationError(HandledError):
    """`published.json` is there but cannot be read."""


def location(settings: Settings) -> str:
    """Where the file is."""
    return f"{settings.lake_uri.rstrip('/')}/{FILE}"


def write_publication(settings: Settings, published: Published) -> None:
    """Publish a run: after this, readers open its versions; before, the ones before; never a mixture."""
    publish(location(settings), msgspec.json.format(msgspec.json.encode(published)))


def read_publication(settings: Settings) -> Published | None:
    """Return what is published, or None before the first nightly run.

    Raises:
        PublicationError: The file cannot be read as a publication.
    """
    content = read_published(location(settings))
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=Published)
    except msgspec.DecodeError as error:
        message = f"{location(settings)} is no publication ({error}); run ./kol batch run to publish again"
        raise PublicationError(message) from error
