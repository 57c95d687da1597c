# A submitted package is imported with its relative imports and data files.
import package.sub.deep
from importlib import resources
from package import VALUE

print(package.sub.deep.total(), VALUE, package.__name__, package.sub.deep.__package__)
print(resources.files("package").joinpath("data.txt").read_text())
print(package.__file__, package.__path__)
