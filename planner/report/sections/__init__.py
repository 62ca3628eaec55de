"""The sections of a report, one file each: a function from the material to a section."""
