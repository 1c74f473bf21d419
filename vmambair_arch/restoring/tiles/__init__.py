"""Pictures in tiles: how large they are, how they are run and joined."""
