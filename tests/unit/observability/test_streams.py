"""What is told of watches: ages by kind, and the counts of all with how many they are."""

from dataclasses import dataclass

from task_pipeline.observability import catalog
from task_pipeline.observability.streams import of_streams


@dataclass
class Watch:
    lists: int
    ghosts: int = 0
    last_seen: float = 0.0


def test_of_several_namespaces_the_longest_silence_counts_and_every_watch_and_list() -> None:
    streams = [("pods", Watch(1, last_seen=90.0)), ("pods", Watch(4, 2, last_seen=70.0)), ("pipelinejobs", Watch(0))]
    told = {(metric.name, labels): value for metric, labels, value in of_streams(streams, [Watch(3, 1)], 100.0)}
    assert told == {
        (catalog.STREAM_AGE.name, ("pods",)): 30.0,
        (catalog.STREAMS.name, ()): 4,
        (catalog.RELISTS.name, ()): 3 + 2,
        (catalog.GHOSTS.name, ()): 2 + 1,
    }
