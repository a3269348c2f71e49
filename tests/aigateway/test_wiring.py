import asyncio
from pathlib import Path

from aigateway.first_start import prepare
from aigateway.wiring import open_house
from config.settings import Settings


async def test_work_that_shutdown_waits_for_still_finds_what_it_uses(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    await asyncio.to_thread(prepare, settings, lambda _: None)
    leaving = asyncio.Event()
    done: list[str] = []

    async with open_house(settings) as house:

        async def work() -> None:
            await leaving.wait()
            await asyncio.sleep(0.05)
            # What the periodic jobs do: tokens with their journal, and the database.
            await house.parts.tokens.refresh_due()
            done.append("tokens")
            await house.ground.repositories.egress.recalculate()
            done.append("places")

        house.background.spawn("late", work())
        leaving.set()
    assert done == ["tokens", "places"]
