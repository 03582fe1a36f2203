"""Named configs, one TOML file each."""
