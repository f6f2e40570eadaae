"""A table of costs: batches of objects go through the steps of a plan, and every named step is measured."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial

import click

from tests.bench.apiserver import ApiServer, Cost, median
from tests.bench.objects import Objects

Step = Callable[[Objects, int], Awaitable[None]]
Plan = tuple[tuple[str, Step], ...]  # steps without a name are not measured


class Table:
    """Costs by part, measured step and form."""

    def __init__(self, server: ApiServer, writes: int) -> None:
        self.server = server
        self._writes = writes
        self._next = 0
        self.counted = False
        self.rows: dict[tuple[str, str, str], list[Cost]] = defaultdict(list)

    async def run(self, part: str, form: str, objects: Objects, plan: Plan) -> None:
        """Take every step of the plan for a fresh batch of objects."""
        numbers = range(self._next, self._next + (self._writes if self.counted else 20))
        self._next = numbers.stop
        objects.prepare(numbers)
        for name, step in plan:
            cost = await self.server.cost([partial(step, objects, number) for number in numbers])
            if name and self.counted:
                self.rows[part, name, form].append(cost)

    def show(self) -> None:
        """Print the medians; a form is compared with the first of its step."""
        click.echo(f"{'':58} {'CPU ms':>7} {'KiB':>6} {'of 1st':>6} {'p50 ms':>7} {'p99 ms':>7}")
        first: dict[tuple[str, str], float] = {}
        for (part, name, form), costs in self.rows.items():
            cost = median(costs)
            share = cost.allocated / first.setdefault((part, name), cost.allocated)
            title = f"{part}  {name}: {form}"
            figures = f"{cost.cpu:7.2f} {cost.allocated:6.0f} {share:6.2f} {cost.p50:7.1f} {cost.p99:7.1f}"
            click.echo(f"{title:58} {figures}")
