# Context variables start empty and are copied into tasks.
import asyncio
import contextvars

print(list(contextvars.copy_context()))
variable = contextvars.ContextVar("variable", default="default")


async def change():
    variable.set("task")
    return variable.get()


async def main():
    variable.set("main")
    print(await asyncio.create_task(change()), variable.get())


asyncio.run(main())
print(variable.get())
