"""A first look at a model in a process of its own, with limits, so that a text that breaks its reader breaks only that.

LightGBM reads models in C++ and trusts what it reads. A model that others may have made is therefore read, and asked
for three scores, in a child that may use little memory and little time. What has passed is named by its sha on the
shelf; workers and the API read it from there without asking again.
"""

import functools
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress

import msgspec

from registry.model import unpack
from registry.package import ModelRefusedError, Package
from runtime.settings import ROOT

MOST_MEMORY_BYTES = 4 * 2**30
"""Address space of the child: 1 GB are its libraries; the largest model allowed takes 2 more."""
MOST_CPU_SECONDS = 10
"""Of which 1.5 are its start; a model of 2 MB takes a tenth of a second."""
MOST_SECONDS = 60
"""By the clock: on a machine that has much to do, ten seconds of work take longer."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def look_at(package: Package) -> None:
    """Let a child read a model and score the reference profiles with it; once per process and package.

    A model that the child refuses in good order harms nobody who reads it: it is refused by whoever does, in his words.

    Raises:
        ModelRefusedError: The child crashed or reached a limit.
    """
    if refusal := _refusal(package):
        raise ModelRefusedError(refusal)


@functools.lru_cache(maxsize=4)
def _refusal(package: Package) -> str:
    """Return how reading a model ended the child; empty when it lived."""
    name = package.sha[:12]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "registry.quarantine"],
            input=msgspec.msgpack.encode((package.manifest, package.text)),
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, **ONE_THREAD},
            timeout=MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelRefusedError(f"model {name} could not be read within {MOST_SECONDS} s; it is not used") from error
    return f"reading model {name} in a process of its own {_end(done)}; it is not used" if done.returncode else ""


def _end(done: "subprocess.CompletedProcess[bytes]") -> str:
    """Say how a child ended that said nothing itself."""
    if done.returncode < 0:
        why = signal.Signals(-done.returncode).name
        return f"took more than {MOST_CPU_SECONDS} s" if why in {"SIGXCPU", "SIGKILL"} else f"crashed it ({why})"
    return f"failed: {(done.stderr.decode(errors='replace').strip().splitlines() or ['it said nothing'])[-1]}"


def limit() -> None:
    """Limit memory and time of this process, and let it leave no core file."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_SECONDS, MOST_CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Read a package from stdin and try it."""
    limit()
    manifest, text = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=tuple[bytes, bytes])
    with suppress(ModelRefusedError):
        unpack(Package(manifest, text), "lightgbm")


if __name__ == "__main__":
    main()
