# An error in asyncio.run shows the frames of the program and of asyncio.
import asyncio


async def inner():
    raise ValueError("in a coroutine")


async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(inner())


asyncio.run(main())
