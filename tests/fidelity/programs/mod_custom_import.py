# A finder of the program takes part in imports.
import importlib.abc
import importlib.util
import sys


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self) if name.startswith("magic_") else None

    def exec_module(self, module):
        module.answer = module.__name__.upper()


print([getattr(finder, "__name__", type(finder).__name__) for finder in sys.meta_path if "Distutils" not in str(finder)])
print(len(sys.path_hooks))
sys.meta_path.append(Finder())
import magic_word

print(magic_word.answer)
