"""The examples of docs/authentication.md do what they say, with curl."""

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from task_pipeline.server import table
from task_pipeline.server.app import build
from task_pipeline.server.auth.setup import AuthConfig, set_up
from task_pipeline.server.health import Readiness
from task_pipeline.server.services import Services
from task_pipeline.settings import Settings
from tests.fakes.reviews import Account
from tests.unit.server.auth.world import NAMESPACE, World

PAGE = Path(__file__).parents[2] / "docs" / "authentication.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
async def test_the_examples_work() -> None:
    world = World()
    world.client("team-a", "team-a")
    secret = await world.secret("team-a")
    world.cluster.reviews.tokens["an.account.token"] = Account("user", ("task-pipeline",))
    world.cluster.reviews.rules.add(("user", "list", "pipelines", "team-a"))
    auth = set_up(world.cluster, AuthConfig(NAMESPACE))
    services = Services(world.cluster, Settings(), auth.authenticator, auth.authorizer)
    scripts = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(scripts) == 3
    async with TestServer(build((*table.routes(Readiness()), *auth.routes), services)) as server:
        values = {"SERVER": str(server.make_url("")).rstrip("/"), "CLIENT": "team-a", "SECRET": secret}
        for script in scripts:
            done = await asyncio.create_subprocess_exec(
                "bash",
                "-euo",
                "pipefail",
                "-c",
                script,
                env=os.environ | values | {"ACCOUNT_TOKEN": "an.account.token"},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await asyncio.wait_for(done.communicate(), 20)
            assert done.returncode == 0, err.decode()
            assert b'"items"' in out
    world.cluster.close()
