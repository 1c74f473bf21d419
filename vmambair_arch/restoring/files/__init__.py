"""Pictures in files, with all that they carry: colours, profiles, EXIF, XMP."""
