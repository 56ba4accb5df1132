"""Files that appear whole or not at all, on the local disk or on whatever store a URI names."""

import os
from pathlib import Path

from pyarrow.fs import FileSystem, FileType, LocalFileSystem


def write_whole(path: Path, content: bytes) -> None:
    """Write a local file so that readers see the old content or the new, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def open_store(location: str) -> tuple[FileSystem, str]:
    """Return the file system of a path or URI and the path in it."""
    if "://" in location:
        found = FileSystem.from_uri(location)
        return found[0], found[1]
    return LocalFileSystem(), str(Path(location).absolute())


def publish(location: str, content: bytes) -> None:
    """Write a file whole at a path or URI; on an object store one upload is atomic by itself."""
    store, path = open_store(location)
    if isinstance(store, LocalFileSystem):
        write_whole(Path(path), content)
        return
    with store.open_output_stream(path) as stream:
        stream.write(content)


def read_published(location: str) -> bytes | None:
    """Read a file at a path or URI, or None when there is none."""
    store, path = open_store(location)
    if store.get_file_info(path).type == FileType.NotFound:
        return None
    with store.open_input_stream(path) as stream:
        return bytes(stream.read())
