"""kopf, imported without the API clients beside it.

On its import kopf looks for kubernetes, kubernetes-asyncio and pykube by importing them, to log in through one of them.
Here it is told how to log in, and in a pod nothing else wants them: they would be two thirds of the process's memory.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

CLIENTS = ("kubernetes", "kubernetes_asyncio", "pykube")


@contextmanager
def absent(*names: str) -> Iterator[None]:
    """Inside, modules of these names cannot be imported, unless they have been before."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None stands for "there is none"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with absent(*CLIENTS):
    import kopf

__all__ = ["kopf"]
