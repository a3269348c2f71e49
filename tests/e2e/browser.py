"""Chromium without a window, driven in threads so that the gateway of the test goes on."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests import servers

T = TypeVar("T")

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_LIMIT_S = 20.0


@dataclass
class Browser:
    """One window and its own cookies."""

    driver: Chrome

    async def run(self, work: Callable[[Chrome], T]) -> T:
        """Do something in the browser, beside the event loop."""
        return await asyncio.to_thread(work, self.driver)

    async def open(self, url: str) -> None:
        await self.run(lambda driver: driver.get(url))

    async def fill(self, **fields: str) -> None:
        """Type into fields, by their ids."""

        def work(driver: Chrome) -> None:
            for name, text in fields.items():
                field = driver.find_element(By.ID, name)
                field.clear()
                field.send_keys(text)

        await self.run(work)

    async def press(self, name: str) -> None:
        """Press a button and wait for the page that it leads to."""

        def work(driver: Chrome) -> None:
            before = driver.find_element(By.TAG_NAME, "html")
            driver.find_element(By.ID, name).click()
            WebDriverWait(driver, _LIMIT_S).until(lambda it: _is_gone(it, before.id))

        await self.run(work)

    async def text(self, name: str | None = None) -> str:
        """Return what a person reads: of the page, or of one element."""

        def work(driver: Chrome) -> str:
            by = (By.TAG_NAME, "body") if name is None else (By.ID, name)
            return str(driver.find_element(*by).text)

        return await self.run(work)

    async def address(self) -> str:
        return await self.run(lambda driver: driver.current_url)

    async def cookies(self) -> list[dict[str, object]]:
        """Cookies of the page's host."""
        return await self.run(lambda driver: list(driver.get_cookies()))

    async def complaints(self, origin: str) -> list[str]:
        """What the console holds of the pages of one origin: violations of a policy, for one."""

        def work(driver: Chrome) -> list[str]:
            entries = driver.get_log("browser")  # type: ignore[no-untyped-call]
            return [str(entry["message"]) for entry in entries]

        return [message for message in await self.run(work) if message.startswith(origin)]


@asynccontextmanager
async def open_browser(folder: Path) -> AsyncGenerator[Browser, None]:
    """Start Chromium with a profile of its own; without Chromium the test ends here."""
    binary, driver = servers.program("chromium"), servers.program("chromedriver")
    options = ChromeOptions()
    options.binary_location = binary
    for flag in (*_FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = ChromeService(executable_path=driver)
    chrome = await asyncio.to_thread(Chrome, options, service)
    chrome.set_page_load_timeout(_LIMIT_S)
    try:
        yield Browser(chrome)
    finally:
        await asyncio.to_thread(chrome.quit)


def _is_gone(driver: Chrome, element_id: str) -> bool:
    """Whether another page is there, and whole."""
    state = driver.execute_script("return document.readyState")
    return state == "complete" and driver.find_element(By.TAG_NAME, "html").id != element_id
