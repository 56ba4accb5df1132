"""Files that others may have put there: what is looked at before a single byte of them is read or fetched.

Only two files are ever read, by name. Names, links and sizes that somebody else chose lead nowhere. MLflow's own copy
of a model is not read at all by this system; its description is checked, because people load it by its address.
"""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from registry.package import MANIFEST, MOST_MODEL_BYTES, TEXT, ModelRefusedError

MOST_BYTES = {MANIFEST: 2**20, TEXT: MOST_MODEL_BYTES}
"""Largest size of each file of a package; a manifest has 5 KB."""

FLAVOURS = {"lightgbm", "python_function"}
LOADER = "mlflow.lightgbm"
BOOSTER = "lightgbm.basic.Booster"


def check_files(folder: Path) -> None:
    """Look at the two files of a model without opening them; a file that is not there is left to whoever reads it.

    Raises:
        ModelRefusedError: One is a link, no file, or too large.
    """
    for name in MOST_BYTES:
        path = folder / name
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(found.st_mode):
            raise ModelRefusedError(f"{path} is no plain file; a model's files are copied, never linked")
        check_size(name, found.st_size)


def check_size(name: str, size: int | None) -> None:
    """Refuse a file that is too large to be what its name says.

    Raises:
        ModelRefusedError: It is.
    """
    if size is not None and size > MOST_BYTES[name]:
        raise ModelRefusedError(f"{name} has {size} bytes, over {MOST_BYTES[name] // 2**20} MB; it is no model of ours")


def local_folder(uri: str) -> Path | None:
    """Return the folder of an artifact URI on this machine, or None when it is elsewhere."""
    parts = urlsplit(uri)
    if parts.scheme not in {"", "file"}:
        return None
    return Path(url2pathname(parts.path))


def check_flavours(name: str, flavours: Mapping[str, Any]) -> None:
    """Refuse a description of MLflow's copy that would make MLflow run or unpickle something.

    Args:
        name: Model and version, for the message.
        flavours: The `flavors` of its MLmodel file.

    Raises:
        ModelRefusedError: It is not exactly a LightGBM booster as text, loaded by MLflow's own code.
    """
    function, booster = flavours.get("python_function", {}), flavours.get("lightgbm", {})
    wrong = {
        "flavours": sorted(set(flavours) - FLAVOURS),
        "loader_module": function.get("loader_module") if function.get("loader_module") != LOADER else None,
        "code_paths": function.get("code") or booster.get("code"),
        "model_class": booster.get("model_class") if booster.get("model_class") != BOOSTER else None,
        "data": [data for data in (function.get("data"), booster.get("data")) if data != "model.lgb"],
    }
    found = [f"{key} {value!r}" for key, value in wrong.items() if value]
    if found:
        told = ", ".join(found)
        raise ModelRefusedError(f"MLflow's copy of {name} has {told}: it would run code; train and register it again")
