"""Who takes part: ours and the scripts always, others when the environment names their programs."""

import os
from collections.abc import Callable, Mapping, Sequence

from tests.bench.contenders.argo import Argo
from tests.bench.contenders.base import Contender, Unavailable
from tests.bench.contenders.kueue import Kueue
from tests.bench.contenders.ours import Ours
from tests.bench.contenders.raw import RawJobs, RawPods
from tests.bench.contenders.tekton import Tekton

_MAKERS: dict[str, Callable[[Mapping[str, str]], Contender]] = {
    "ours-shell": lambda environment: Ours("Shell"),
    "raw-pods": lambda environment: RawPods(),
    "ours-k8s-job": lambda environment: Ours("K8S/Job"),
    "raw-jobs": lambda environment: RawJobs(),
    "argo": Argo,
    "tekton": Tekton,
    "kueue": Kueue,
}
NAMES = tuple(_MAKERS)


def make(name: str, environment: Mapping[str, str] = os.environ) -> Contender:
    """A contender for one block. Raises Unavailable with one line that says what is missing."""
    return _MAKERS[name](environment)


def present(
    names: Sequence[str], environment: Mapping[str, str] = os.environ
) -> tuple[dict[str, Contender], list[str]]:
    """The contenders that can take part, by name, and a line for each that cannot."""
    found, skipped = {}, []
    for name in names:
        try:
            found[name] = make(name, environment)
        except Unavailable as reason:
            skipped.append(f"{name}: skipped, {reason}")
    return found, skipped
