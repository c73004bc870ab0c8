"""Text for those who take nothing but well-formed Unicode."""


def well_formed(text: str) -> str:
    """The text as UTF-8 can carry it: lone surrogates become U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
