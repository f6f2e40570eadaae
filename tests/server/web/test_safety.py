"""Sessions, forms and headers: what makes a page safe to have open in a browser."""

import json
import re
import time
from base64 import urlsafe_b64decode

import jwt
import pytest

from task_pipeline.api.resources import SECRETS
from task_pipeline.server.auth.keys import KeyRing
from task_pipeline.server.web import assets
from task_pipeline.server.web import session as sessions
from tests.fakes.reviews import Account
from tests.server.web.site import COOKIE, Browser, visitor
from tests.server.whole import Whole, basic, whole
from tests.unit.server.auth.world import NAMESPACE

PAGE = "/ui/namespaces/team-a/pipelines/release"
PATHS = ("/ui", "/ui/login", "/ui/clients", PAGE, f"{PAGE}?job=unit&tab=yaml", f"{PAGE}/jobs/unit", "/ui/clients/none")


@pytest.mark.parametrize("path", PATHS)
async def test_every_page_has_the_strict_headers_and_nothing_inline(site: Whole, path: str) -> None:
    answer = await (await visitor(site, "acme")).get(path)
    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    for tag, attributes in answer.page.elements:
        assert tag != "style"
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        assert tag != "script" or attributes["src"]
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "/").startswith(("/", "#"))


async def test_scripts_make_markup_in_one_place_only_and_never_run_text(site: Whole) -> None:
    page = (await (await visitor(site, "acme")).get("/ui")).text
    digest = re.findall(r"/ui/static/(\w+)/pages.js", page)[0]
    for name, content in assets.FILES.items():
        answer = await Browser(site.one).get(f"/ui/static/{digest}/{name}")
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Type"].partition(";")[0] in ("text/css", "text/javascript", "image/svg+xml")
        text = content.decode()
        assert not re.search(
            r"https?://(?!www\.w3\.org)|\beval\b|new Function|document\.write|insertAdjacentHTML|srcdoc", text
        )
        if name != "markup.js":
            assert not re.search(r"innerHTML\s*=[^=]|outerHTML|DOMParser|createPolicy", text), name


async def test_the_cookie_is_for_this_server_and_no_script(site: Whole) -> None:
    answer = await Browser(site.one).log_in(client_id="acme", client_secret=site.secrets["acme"])
    assert (answer.status, answer.headers["Location"]) == (303, "/ui")
    value, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert set(attributes) == {"Path=/", "Max-Age=28800", "HttpOnly", "SameSite=Strict", "Secure"}
    readable = b"".join(urlsafe_b64decode(part + "==") for part in value.partition("=")[2].split(".")[:2]).decode()
    assert site.secrets["acme"] not in readable
    stored = [secret["data"] for secret in site.cluster.admin.list(SECRETS, NAMESPACE)]
    assert not [data for data in stored for content in data.values() if content in readable]


async def test_the_cookie_of_a_user_holds_no_token(site: Whole) -> None:
    browser = await visitor(site, "admin")
    header, claims, _ = browser.cookie.split(".")
    readable = urlsafe_b64decode(header + "==") + urlsafe_b64decode(claims + "==")
    assert b"admin.kubernetes.token" not in readable
    assert json.loads(urlsafe_b64decode(claims + "=="))["sub"].endswith(":admin")


async def test_a_session_of_a_user_is_not_longer_than_his_token(site: Whole) -> None:
    token = jwt.encode({"exp": int(time.time()) + 100}, "k" * 32, "HS256")
    site.cluster.reviews.tokens[token] = Account("jane", ("task-pipeline",))
    cookie = (await Browser(site.one).log_in(token=token)).headers["Set-Cookie"]
    assert 90 <= int(re.findall(r"Max-Age=(\d+)", cookie)[0]) <= 100
    many = tuple(f"a-rather-long-name-of-group-{number}" for number in range(200))
    site.cluster.reviews.tokens["many.groups.token"] = Account("jane", ("task-pipeline",), groups=many)
    answer = await Browser(site.one).log_in(token="many.groups.token")
    assert (answer.status, "too many groups" in answer.text) == (422, True)


async def test_any_replica_takes_the_session_and_none_takes_it_as_a_token() -> None:
    async with whole(replicas=2) as site:
        site.pipeline("release")
        browser = await visitor(site, "acme", site.replicas[0])
        other = Browser(site.replicas[1], browser.cookie)
        assert "release" in (await other.get("/ui")).text
        list_path = "/api/v1/namespaces/team-a/pipelines"
        assert (await site.one.ask("GET", list_path, f"Bearer {browser.cookie}")).status == 401
        assert (await site.one.ask("GET", list_path, None, Cookie=f"{COOKIE}={browser.cookie}")).status == 401
        token = (
            await site.one.ask("POST", "/oauth2/token", site.callers["acme"], {"grant_type": "client_credentials"})
        ).body
        assert (await Browser(site.one, token["access_token"]).get("/ui")).status == 303


async def test_a_session_ends_with_its_secret_with_the_keys_and_by_its_time(
    site: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, admin = await visitor(site, "acme"), await visitor(site, "admin")
    assert (await acme.get("/ui")).status == (await admin.get("/ui")).status == 200
    cut = acme.cookie[:-4] + ("AAAA" if acme.cookie[-4:] != "AAAA" else "BBBB")
    assert (await Browser(site.one, cut).get("/ui")).status == 303
    monkeypatch.setattr(sessions, "CLIENT_SECONDS", 0)
    assert (await (await visitor(site, "acme")).get("/ui")).status == 303
    monkeypatch.undo()
    site.world.credentials("acme", lambda known: [])
    monkeypatch.setattr("task_pipeline.server.auth.credentials.FRESH_SECONDS", 0.0)
    assert (await acme.get("/ui")).status == 303
    ring = KeyRing(site.cluster, NAMESPACE, now=lambda: 4e9, clock=lambda: 0.0)
    await ring.rotate(revoke=True)
    monkeypatch.setattr("task_pipeline.server.auth.keys.REFRESH_SECONDS", 0.0)
    assert (await admin.get("/ui")).status == 303


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Sec_Fetch_Site": "same-origin"}, 303),
        ({"Sec_Fetch_Site": "same-origin", "Origin": ""}, 303),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
    ],
)
async def test_a_form_has_to_come_from_our_own_page(site: Whole, headers: dict[str, str], status: int) -> None:
    browser = await visitor(site, "acme")
    before = site.cluster.store.revision
    assert (await browser.post(PAGE, {"action": "suspend"}, **headers)).status == status
    assert (site.cluster.store.revision == before) is (status == 403)
    login = {"client_id": "acme", "client_secret": site.secrets["acme"]}
    assert (await browser.ask("POST", "/ui/login", login, **headers)).status == status


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}/jobs/unit", "/ui/logout"])
@pytest.mark.parametrize("token", ["", "0" * 64, "another"])
async def test_a_form_has_to_carry_the_token_of_its_own_session(site: Whole, path: str, token: str) -> None:
    browser, other = await visitor(site, "acme"), await visitor(site, "acme")
    given = await other.csrf() if token == "another" else token
    before = site.cluster.store.revision
    action = {} if path == "/ui/logout" else {"action": "cancel"}
    answer = await browser.ask("POST", path, {"csrf": given, **action})
    assert answer.status == 403
    assert site.cluster.store.revision == before
    assert (await browser.get("/ui")).status == 200


async def test_rest_refuses_what_a_browser_sends_for_another_site_with_a_password_that_it_remembers(
    site: Whole,
) -> None:
    path = "/api/v1/namespaces/team-a/pipelines/release:suspend"
    for headers in (
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example"},
    ):
        before = site.cluster.store.revision
        answer = await site.one.ask("POST", path, site.callers["acme"], **headers)
        assert (answer.status, answer.reason) == (403, "CrossSite")
        assert site.cluster.store.revision == before
    for allowed in ({}, {"Sec_Fetch_Site": "none"}, {"Sec_Fetch_Site": "same-origin"}, {"Origin": site.one.url}):
        assert (await site.one.ask("POST", path, site.callers["acme"], **allowed)).status == 200


@pytest.mark.parametrize(
    ("next_", "place"),
    [
        ("/ui/clients", "/ui/clients"),
        (f"{PAGE}?job=unit&tab=log", f"{PAGE}?job=unit&tab=log"),
        ("//evil.example/", "/ui"),
        ("https://evil.example/", "/ui"),
        ("/ui\\@evil.example", "/ui"),
        ("/uievil", "/ui"),
        ("javascript:alert(1)", "/ui"),
        ("/ui/\r\nSet-Cookie: a=b", "/ui"),
    ],
)
async def test_a_login_leads_to_our_own_pages_only(site: Whole, next_: str, place: str) -> None:
    answer = await Browser(site.one).log_in(client_id="acme", client_secret=site.secrets["acme"], next=next_)
    assert (answer.status, answer.headers["Location"]) == (303, place)


async def test_a_wrong_login_says_so_and_opens_nothing(site: Whole) -> None:
    for form in (
        {"client_id": "acme", "client_secret": "x"},
        {"token": "a.b.c"},
        {"token": "x"},
        {},
        {"token": "runner.kubernetes.token"},
    ):
        answer = await Browser(site.one).log_in(**form)
        assert answer.status == 422
        assert "Set-Cookie" not in answer.headers
        assert answer.page.with_id("fault") is not None


async def test_logging_out_takes_the_cookie_away(site: Whole) -> None:
    browser = await visitor(site, "acme")
    answer = await browser.post("/ui/logout")
    assert answer.headers["Set-Cookie"].startswith(f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure")


async def test_who_may_only_look_is_shown_no_action(site: Whole) -> None:
    admin = "system:serviceaccount:task-pipeline:admin"
    site.cluster.reviews.rules.clear()
    for verb in ("get", "list"):
        site.cluster.reviews.rules.add((admin, verb, "pipelines", "*"))
    browser = await visitor(site, "admin")
    page = (await browser.get(f"{PAGE}?job=unit")).page
    assert not [attributes for tag, attributes in page.elements if tag == "form" and "data-act" in attributes]
    assert (await browser.post(PAGE, {"action": "suspend"})).status == 403
    page = (await (await visitor(site, "acme")).get(f"{PAGE}?job=unit")).page
    assert len([attributes for tag, attributes in page.elements if tag == "form" and "data-act" in attributes]) == 2


async def test_a_password_in_a_header_opens_no_page_and_asks_no_browser_for_one(site: Whole) -> None:
    answer = await Browser(site.one).get("/ui", Authorization=basic("acme", site.secrets["acme"]))
    assert (answer.status, "WWW-Authenticate" in answer.headers) == (303, False)
