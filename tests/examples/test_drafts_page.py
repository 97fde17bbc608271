"""The drafts page in a real browser: what the person sees, calm and rough, by keyboard and on a phone."""

import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, expect, sync_playwright

from oncue.cli.deploy import deploy
from tests import running
from tests.examples.conftest import CHROMIUM

DRAFTS = pathlib.Path(__file__).parents[2] / "examples" / "drafts" / "template.yaml"
DEADLINE_MS = 20_000
WORDS_MAX = 60
NEWEST = re.compile(r"a reader sees v1\.\d+: ✓ the newest")
BEHIND = re.compile(r"a reader sees v1\.\d+: ✗ \d+ behind")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the deployed page is."""
    folder = tmp_path_factory.mktemp("drafts")
    with running.serving(f"sqlite:///{folder}/oncue.db", folder) as server:
        environment = {
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        words = [str(DRAFTS), "--stack-name", "drafts", "--json", "--parameter-overrides", "SavesPerSecond=1"]
        deployed = CliRunner().invoke(deploy, words, env=environment)
        assert deployed.exit_code == 0, deployed.output
        yield json.loads(deployed.stdout)["outputs"]["ApiEndpoint"] + "/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, just opened; it must not have failed by the end."""
    failures: list[Any] = []
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.set_default_timeout(DEADLINE_MS)
    page.on("pageerror", lambda error: failures.append(error))
    page.goto(address)
    yield page
    page.close()
    assert failures == []


def sees(page: Page, way: str, verdict: re.Pattern[str]) -> None:
    expect(page.locator(f"[data-way={way}] [data-field=verdict]")).to_have_text(verdict, timeout=DEADLINE_MS)


def count(page: Page, way: str, what: str) -> int:
    return int(page.locator(f"[data-way={way}] dt", has_text=what).locator("+ dd").inner_text())


def test_calm_every_way_ends_on_the_newest(page: Page) -> None:
    expect(page.get_by_role("textbox", name="Your draft")).to_be_focused()
    for _ in range(WORDS_MAX):
        page.keyboard.type("and on ", delay=45)
        if count(page, "call", "throttled"):
            break
    for way in ("call", "naive", "careful", "sequenced"):
        sees(page, way, NEWEST)
    assert count(page, "call", "throttled") >= 1, "the writer is faster than the gateway lets it"
    assert count(page, "call", "skipped") >= 1
    assert count(page, "careful", "throttled") == 0
    versions = int(page.locator("#version").inner_text().split()[0].removeprefix("v1."))
    assert count(page, "careful", "executed") == count(page, "careful", "acknowledged") == versions
    row = page.locator("#line li").first
    expect(row).to_have_attribute("data-version", f"v1.{versions}")
    expect(row).to_contain_text("saved +")
    expect(row.locator(".track i.sent + i.arrived + i.saved")).to_have_count(1)


def test_rough_the_last_arrival_is_the_wrong_one(page: Page) -> None:
    page.get_by_label("Scramble, delay and duplicate the events").check()
    page.get_by_role("textbox", name="Your draft").focus()
    page.keyboard.type("The harbour lamps came", delay=45)
    sees(page, "naive", BEHIND)
    for way in ("call", "careful", "sequenced"):
        sees(page, way, NEWEST)
    typed = page.get_by_role("textbox", name="Your draft").input_value()
    expect(page.locator("[data-way=careful] q")).to_contain_text(typed[-10:])
    assert count(page, "careful", "executed") > page.locator("#line li").count(), "some came twice"
    expect(page.locator("#line")).to_contain_text("superseded")
    page.get_by_role("button", name="Last arrival wins").click()
    expect(page.locator("#line")).to_contain_text("overwrote a newer one")
    page.get_by_role("button", name="Put in order").click()
    expect(page.locator("#line")).not_to_contain_text("overwrote")
    expect(page.locator("#line")).to_contain_text("superseded, never run")


def test_by_keyboard_on_a_phone_in_the_dark(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Type for me")).to_be_focused()
    page.keyboard.press("Enter")
    sees(page, "careful", re.compile(r"a reader sees v1\.\d+"))
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("switch")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Last arrival wins")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, "nothing sticks out"
