from .base import VALUE

__all__ = ["VALUE"]
