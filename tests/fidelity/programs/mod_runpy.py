# runpy runs a submitted script and module as __main__.
import runpy

print(sorted(runpy.run_path("script.py", run_name="__main__").keys() & {"value", "__name__"}))
print(runpy.run_module("package.tool", run_name="named")["__name__"])
print(__name__)
