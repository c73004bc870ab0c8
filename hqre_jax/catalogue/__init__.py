"""Named games as data files: ``catalogue.toml`` says what each file holds and where it comes from."""
