# asyncio.run runs tasks, named from one, and gathers their results.
import asyncio


async def work(number):
    await asyncio.sleep(0.01 * number)
    print("done", number, asyncio.current_task().get_name())
    return number


async def main():
    print(asyncio.current_task().get_name(), type(asyncio.get_running_loop()).__name__)
    print(await asyncio.gather(work(3), work(1), work(2)))
    async with asyncio.timeout(0.01):
        await asyncio.sleep(5)


try:
    asyncio.run(main())
except TimeoutError as error:
    print("timed out", repr(error))
