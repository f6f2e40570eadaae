"""Stop a cluster and remove what it has written.

Rule: it works from the recorded state alone, in any stage of a start, and twice in a row: what is gone
already is no error. Nothing is stopped that does not carry this cluster's numbers or marker.
"""

import shutil
from pathlib import Path

from tests.cluster import network, processes, remnants
from tests.cluster.paths import ClusterPaths
from tests.cluster.state import ClusterState

# Nothing of a cluster outlives it, so its programs need no time to put things in order.
GRACE_SECONDS = 0.5


def stop(paths: ClusterPaths, state: ClusterState, *, keep_logs: bool = False) -> None:
    """Stop all programs and remove all files, the state last; `keep_logs` leaves the log folder.

    Raises ClusterError when something cannot be stopped; the state stays, so that `down` can try again.
    """
    processes.stop(state.processes, GRACE_SECONDS)
    _clean(paths, state.marker, Path(state.private), real=state.real, keep_logs=keep_logs)


def stop_orphans(paths: ClusterPaths) -> bool:
    """Stop what runs for a folder whose state is gone (removed by hand); says whether there was anything.

    A marker begins with the id of the folder, and so do the names of all that lies elsewhere.
    """
    real = paths.run.exists() or network.exists(paths.bridge)
    marker = f"{paths.id}-"
    if not real and not paths.private.exists() and not processes.marked(marker):
        return False
    _clean(paths, marker, paths.private, real=real, keep_logs=False)
    return True


def _clean(paths: ClusterPaths, marker: str, private: Path, *, real: bool, keep_logs: bool) -> None:
    processes.stop(processes.marked(marker), GRACE_SECONDS)
    if real:
        remnants.kill_containers(paths)
        remnants.remove(paths)
    _remove(private)
    _remove(paths.run)
    for path in paths.owned():
        if path != paths.state and not (keep_logs and path == paths.logs):
            _remove(path)
    _remove(paths.state)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
