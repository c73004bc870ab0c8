"""Text from elsewhere, made safe to look at: nothing in it moves a cursor, sets a colour or reverses a line."""


def harmless(text: str, keep: str = "") -> str:
    r"""The text with every character that is not plainly visible written as its escape.

    Control characters, terminal escapes, marks that turn the direction of writing, invisible and unassigned
    characters and lone surrogates come out as ``\x1b``, ``\u202e``, ….

    Args:
        text: Any text.
        keep: Characters to leave as they are, a line's end for instance.
    """
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)
