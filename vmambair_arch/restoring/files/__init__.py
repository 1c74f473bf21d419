"""Picture files, with all their metadata: colour profiles, EXIF, XMP, IPTC."""
