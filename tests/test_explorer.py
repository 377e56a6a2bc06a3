"""The explorer page in a real browser: its numbers are the library's, and it is used by keyboard and on a phone."""

import json
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import rhmtheory as rt

PAGE = Path(__file__).parents[1] / "docs" / "_extra" / "explorer" / "index.html"
NAMES = ("v", "m", "s", "L")
SETTINGS = [
    (16, 4, 2, 4), (32, 8, 2, 3), (8, 2, 2, 4), (8, 8, 3, 3), (12, 3, 2, 3), (6, 9, 3, 4), (2, 1, 2, 1),
    (2, 2, 2, 3), (4, 1, 3, 4), (5, 25, 3, 2), (24, 6, 2, 1), (64, 8, 2, 6), (64, 64, 2, 3), (3, 7, 4, 5),
    (10, 9, 2, 12), (40, 30, 2, 2), (256, 16, 2, 4), (200, 4096, 6, 5), (256, 1, 6, 3), (128, 100, 3, 4),
]  # fmt: skip
# type a setting into the number fields, and read what the page then shows, with all digits
ENTER = """
    for (const [name, value] of Object.entries(arguments[0])) {
        const field = document.getElementById(name);
        field.value = value;
        field.dispatchEvent(new Event('input'));
    }
    const values = (selector) => [...document.querySelectorAll(selector)].map((cell) => cell.dataset.value);
    return arguments[1].map(values);
"""


def missing():
    """What stands between these tests and a browser; empty where nothing does."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed: pip install '.[test]'"
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        return "no chromium with its driver here: apt-get install chromium chromium-driver"
    return ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")


@contextmanager
def browser(profile, *arguments):
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", f"--user-data-dir={profile}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []), *arguments,
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile"), "--window-size=1280,1000") as driver:
        yield driver


def open_page(driver, setting=(16, 4, 2, 4)):
    driver.get("about:blank")  # so that the next address loads the page anew
    address = "&".join(f"{name}={value}" for name, value in zip(NAMES, setting, strict=True))
    driver.get(f"{PAGE.as_uri()}#{address}")


def enter(driver, setting, *selectors):
    """Numbers that the page shows at the selectors after a setting was typed in."""
    found = driver.execute_script(ENTER, dict(zip(NAMES, setting, strict=True)), selectors)
    return [[float(value.replace("Infinity", "inf")) for value in values] for values in found]


def by_id(driver, name):
    from selenium.webdriver.common.by import By

    return driver.find_element(By.ID, name)


def wait_for(driver, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, 10, poll_frequency=0.05).until(lambda _: condition())


def type_into(field, text):
    from selenium.webdriver.common.keys import Keys

    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(text)


def test_numbers_are_those_of_the_library(driver):
    open_page(driver)
    selectors = [f"#steps td:nth-child(2) span:nth-child({i})" for i in (1, 2)] + ["#f, #d"]
    selectors += [f"#steps tbody tr > :nth-child({column})" for column in (3, 4)]
    selectors += [f"#exponents td[data-law={law}]" for law in ("transformer", "cnn")]
    for setting in SETTINGS:
        rhm = rt.RHM(*setting)
        laws = [rt.predict(rhm, law) for law in ("transformer", "cnn")]
        H = laws[0].plateaus
        expected = [H[:-1], H[1:], [rhm.f, rhm.d], *(p.P.published for p in laws)]
        expected += [[p.step_factor, p.exponent, p.few_level_exponent.published] for p in laws]
        for shown, value in zip(enter(driver, setting, *selectors), expected, strict=True):
            np.testing.assert_allclose(shown, value, rtol=1e-9, equal_nan=True, err_msg=str(setting))
        visible = driver.execute_script("return document.querySelector('main').innerText")
        assert not re.search(r"NaN|undefined|null|Infinity", visible), setting


def test_settings_reach_what_is_special():
    """Twenty settings, among them f = 1, m = 1, one and two levels, and the corner of the largest numbers."""
    ensembles = [rt.RHM(*setting) for setting in SETTINGS]
    assert len(set(SETTINGS)) == 20
    assert {1, 2} <= {rhm.L for rhm in ensembles}
    assert any(rhm.f == 1 for rhm in ensembles)
    assert any(rhm.m == 1 for rhm in ensembles)
    assert max(rhm.v**rhm.s for rhm in ensembles) == 2**48


def test_what_does_not_exist_is_explained(driver):
    open_page(driver)
    type_into(by_id(driver, "m"), "17")
    wait_for(driver, lambda: "at most 16" in by_id(driver, "summary").text)
    assert not by_id(driver, "results").is_displayed()
    with pytest.raises(rt.InputError, match="at most 16"):
        rt.RHM(v=16, m=17, s=2, L=4)
    by_id(driver, "mend").click()
    wait_for(driver, lambda: by_id(driver, "results").is_displayed())
    assert by_id(driver, "m").get_attribute("value") == "16"
    for name, text, said in (
        ("v", "1000", "to 256"),
        ("L", "", "whole number"),
        ("s", "1", "from s = 2"),
    ):
        open_page(driver)
        type_into(by_id(driver, name), text or "\ue003")
        wait_for(driver, lambda said=said: re.search(said, by_id(driver, "summary").text))
        assert not by_id(driver, "results").is_displayed()


def test_by_keyboard(driver):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    open_page(driver)
    curve = "return document.querySelector('#staircase .curve.cnn').getAttribute('d')"
    before = driver.execute_script(curve)
    order, shapes = [], []
    for _ in range(24):
        ActionChains(driver).send_keys(Keys.TAB).perform()
        element = driver.switch_to.active_element
        order.append(element.get_attribute("id") or element.get_attribute("data-setting") or element.tag_name)
        shapes.append(element.value_of_css_property("outline-style"))
        if order[-1] == "grammar":
            break
    sliders = [f"{name}-slider" for name in NAMES]
    assert [name for name in order if name in {*sliders, *NAMES}] == [
        x for pair in zip(sliders, NAMES, strict=True) for x in pair
    ]
    assert order[-1] == "grammar"
    assert set(shapes) == {"solid"}  # the focus is seen everywhere
    by_id(driver, "m-slider").send_keys(Keys.ARROW_RIGHT)
    assert by_id(driver, "m").get_attribute("value") == "5"
    assert driver.execute_script(curve) != before
    steps = (
        "return [...document.querySelectorAll('#steps td:nth-child(3)')].map((cell) => Number(cell.dataset.value))"
    )
    expected = rt.predict(rt.RHM(v=16, m=5, s=2, L=4), "transformer").P.published
    np.testing.assert_allclose(driver.execute_script(steps), expected)
    assert by_id(driver, "summary").get_attribute("aria-live") == "polite"
    wait_for(driver, lambda: "m = 5" in by_id(driver, "summary").text)
    unnamed = """return [...document.querySelectorAll('input, button, svg.drawing')].filter((e) =>
        !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML)"""
    assert driver.execute_script(unnamed) == ['<button type="button" id="mend" hidden=""></button>']


def test_tree_grows_and_obeys_its_grammar(driver):
    from selenium.webdriver.common.keys import Keys

    open_page(driver, (8, 3, 3, 3))
    nodes = "return document.querySelectorAll('#tree .node').length"
    assert driver.execute_script(nodes) == 1 + 3 + 9 + 27
    by_id(driver, "grown").send_keys(Keys.ARROW_LEFT)
    assert driver.execute_script(nodes) == 1 + 3 + 9
    by_id(driver, "grown").send_keys(Keys.HOME)
    assert driver.execute_script(nodes) == 1
    by_id(driver, "grow").click()
    wait_for(driver, lambda: driver.execute_script(nodes) == 40)
    # many sentences of one grammar: at most m rules per symbol, and no tuple has two parents
    rules = driver.execute_script("""
        const language = grammar.draw({ v: 8, m: 3, s: 3, L: 3 }, 7), out = [];
        for (let i = 0; i < 300; i++) language.derive(0).slice(0, 3).forEach((row, depth) => row.forEach((node) =>
            out.push([depth, node.symbol, node.rule, ...node.children])));
        return out;""")
    found = {tuple(rule) for rule in rules}
    assert len(found) == len({(depth, *children) for depth, _, _, *children in found}) == 3 * 8 * 3
    assert len({rule[:3] for rule in found}) == len(found)
    # too many tokens to tell apart: the top of the tree, and a word about it
    open_page(driver, (16, 4, 2, 8))
    assert driver.execute_script(nodes) == 2**7 - 1
    assert "256 tokens" in by_id(driver, "tree-note").text


def test_phone(tmp_path):
    device = {"width": 375, "height": 812, "deviceScaleFactor": 2, "mobile": True}
    with browser(tmp_path / "profile", "--window-size=500,900") as driver:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
        for setting in ((16, 4, 2, 4), (200, 4096, 6, 12), (8, 2, 2, 6)):
            open_page(driver, setting)
            width = driver.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
            assert width == [375, 375], setting
            beyond = """return [...document.querySelectorAll('main *')].filter((e) =>
                e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.table')
            ).map((e) => e.outerHTML)"""
            assert driver.execute_script(beyond) == []
        # a finger needs room
        heights = driver.execute_script(
            "return [...document.querySelectorAll('form input, button:not([hidden])')].map((e) => e.offsetHeight)"
        )
        assert min(heights) >= 28


def test_nothing_comes_from_elsewhere(driver):
    open_page(driver)
    driver.get_log("performance"), driver.get_log("browser")
    open_page(driver, (32, 8, 2, 4))
    by_id(driver, "grammar").click()
    sent = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    addresses = {m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"}
    addresses = {address.split("#")[0] for address in addresses}
    assert {
        PAGE.as_uri(),
        (PAGE.parent / "theory.js").as_uri(),
        (PAGE.parent / "explorer.css").as_uri(),
    } <= addresses
    assert {address.split(":")[0] for address in addresses} <= {"file", "data", "about"}
    assert driver.get_log("browser") == []  # no error, no warning
    for path in PAGE.parent.glob("*.js"):
        assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\b\s*\(?", path.read_text(encoding="utf-8"))
