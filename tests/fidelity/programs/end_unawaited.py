# A coroutine never awaited is warned about with its line.
async def work():
    return 1


work()
print("end of main")
