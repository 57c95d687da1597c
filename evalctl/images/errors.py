"""What goes wrong with images, in words for people."""

from __future__ import annotations


class ImageError(Exception):
    """Something about an image cannot be done; the message is one sentence for people."""
